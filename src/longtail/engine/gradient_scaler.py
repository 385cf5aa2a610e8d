"""The scale of float16 gradients over a training: doubled while they are finite, halved when they overflow."""

from __future__ import annotations

from typing import Any, Self

import torch

from longtail.engine.epoch_monitor import FinitenessError
from longtail.facts.learner import Learner
from longtail.models.gradient_scale import START
from longtail.models.network import Network

GROWTH, BACKOFF = 2.0, 0.5
"""Factors of the scale, as in `torch.amp.GradScaler`."""
SMALLEST = 2.0**-24
"""Scale below which gradients do not overflow by being scaled: they are NaN or infinite themselves."""
STATE = "gradient_scale"


class GradientScaler:
    """One scale for all float16 networks that an optimiser trains, kept in its state dict.

    As `torch.amp.GradScaler` does, but around `optimizer.step()` itself, whoever calls it, and on gradients that are
    true ones already (`models.gradient_scale`). A step with a gradient that is NaN or infinite changes neither
    parameters nor the optimiser's state. Nothing waits for the device where the optimiser honours `found_inf`, as
    torch's fused ones do; of the others it is read back in every step.

    Args:
        networks: in float16.
        optimizer: of their parameters and others.
    """

    interval = 2000
    """Finite steps before the scale grows."""

    def __init__(self, networks: list[Network], optimizer: torch.optim.Optimizer) -> None:
        device = networks[0].gradient_scale.device
        self.scale = torch.full((), START, device=device)
        self.finite_steps = torch.zeros((), dtype=torch.int32, device=device)
        self._overflow = torch.zeros((), device=device)
        self._one = torch.ones((), device=device)
        for network in networks:
            network.gradient_scale = self.scale
        optimizer.register_step_pre_hook(self._before)
        optimizer.register_step_post_hook(self._after)
        optimizer.register_state_dict_post_hook(self._save)
        optimizer.register_load_state_dict_pre_hook(self._load)

    @classmethod
    def attach(cls, learner: Learner, optimizer: torch.optim.Optimizer) -> Self | None:
        """Scale the gradients of a learner's float16 networks from now on; None where it has no such network."""
        networks = float16_networks(learner)
        return cls(networks, optimizer) if networks else None

    @torch.no_grad()
    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self._overflow.zero_()
        if parameters:
            torch._amp_foreach_non_finite_check_and_unscale_([p.grad for p in parameters], self._overflow, self._one)
        if honours_overflow(optimizer):
            optimizer.found_inf = self._overflow  # type: ignore[attr-defined]
            _begin_momenta(optimizer)
        elif bool(self._overflow):
            for parameter in parameters:
                parameter.grad = None

    @torch.no_grad()
    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        vars(optimizer).pop("found_inf", None)
        torch._amp_update_scale_(self.scale, self.finite_steps, self._overflow, GROWTH, BACKOFF, self.interval)

    def _save(self, optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
        state_dict[STATE] = {"scale": self.scale, "finite_steps": self.finite_steps}

    def _load(self, optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.get(STATE, {}).items():  # a state without it begins at START: any scale is right
            getattr(self, name).copy_(value)


def honours_overflow(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether a step leaves everything as it is by itself where `optimizer.found_inf` is 1: torch's protocol."""
    fused = all(group.get("fused") for group in optimizer.param_groups)
    return fused or getattr(optimizer, "_step_supports_amp_scaling", False)


def _begin_momenta(optimizer: torch.optim.Optimizer) -> None:
    """Begin SGD's momenta at 0: its fused step leaves memory that was never written where the first step overflows."""
    if not isinstance(optimizer, torch.optim.SGD):
        return
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            state = optimizer.state[parameter]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)


def float16_networks(learner: Learner) -> list[Network]:
    """Return the networks of a learner that compute in float16."""
    return [m for m in learner.modules() if isinstance(m, Network) and m.precision == "float16"]


def scale_record(learner: Learner, stage: str, epoch: int) -> dict[str, float]:
    """Return the scale after an epoch, for its record; empty without float16 networks.

    Raises:
        FinitenessError: gradients are not finite at any scale, so that no step changes anything any more.
    """
    networks = float16_networks(learner)
    if not networks:
        return {}
    scale = float(networks[0].gradient_scale)
    if scale < SMALLEST:
        raise FinitenessError(
            f"gradients must be finite, got NaN or infinity at every scale in stage {stage}, epoch {epoch + 1}; "
            "lower the learning rate, or train in float32"
        )
    return {STATE: scale}
