"""RECOVER: two gradients a step, for moving averages of a value and its gradient that follow the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Knob, Range
from longtail.facts.learner import Learner
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Progress, Step
from longtail.updates.passes import joined, losses_of, micro_batches, trained
from longtail.updates.randomness import restored_generators

LAM = Range(0, open_low=True)
SHARE = Range(0, 1, open_low=True)
ANY = Range(open_low=True, open_high=True)
SAME = 1e-6
"""Values of a knob this close, relatively, are equal: a schedule gives float32 for a tensor, float64 for a float."""

LOST = 1e-9
"""A difference this small, relatively, is rounding."""


class _Pass(NamedTuple):
    """log g and lam times the gradient of log g, g = mean exp(l / lam) of a batch at some parameters."""

    log_g: Tensor
    gradient: list[Tensor]
    used: list[bool]
    step: Step


@final
class RECOVER:
    """Descend lam log E exp(l / lam) by variance-reduced estimates of the expectation and of its gradient.

    u <- g(w; B) + (1 - a) (u - g(w_old; B)), g(w; B) = mean exp(l_i(w) / lam) over the batch B
    v <- dg(w; B) + (1 - a) (v - dg(w_old; B)), dg the gradient of g with respect to w
    the optimiser's step is made with lam v / u

    w_old are the parameters before the latest step, so that a step has two passes over its batch. a = 1 forgets: the
    step is that of the batch's own weights, p = B softmax(l / lam), as `instance_weights.TERM(1 / lam)` has it.

    u and v start anew, at the batch's g and dg, whenever lam, a or `restart` changes, and where the estimate of u loses
    its sign or nearly all its digits (g + u - g(w_old) <= 1e-9 of the largest of the three), which its recursion does
    not exclude. The state is log u and lam v / u, so that nothing overflows for any finite loss. The pass at w_old has
    the random numbers of the first and changes no buffer of norms, targets and weights.

    Args:
        lam: lambda > 0; the smaller, the more hard examples weigh; infinite: g = 1, the plain mean with the recursion
            for its gradient. A number or a schedule.
        a: in (0, 1], the share of the new batch; a number or a schedule.
        restart: u and v start anew whenever its value changes; a schedule, such as `switch(0.5, 0, 1)`.
        clamp: whether dg is multiplied by min(e, lam) / e, e = exp(max l / lam) of its batch, as in the released code.

    Qi, Guo, Xu, Jin and Yang 2021, "An online method for a class of distributionally robust optimization with
    non-convex objectives" (NeurIPS).
    """

    restores_generators = True
    """A step that draws random numbers cannot be captured as a CUDA graph (`updates.randomness`)."""

    def __init__(
        self,
        lam: Annotated[Knob, LAM] = 5.0,
        a: Annotated[Knob, SHARE] = 0.9,
        *,
        restart: Annotated[Knob, ANY] = 0.0,
        clamp: bool = False,
    ) -> None:
        LAM.check("lam", lam)
        SHARE.check("a", a)
        ANY.check("restart", restart)
        self.lam, self.a, self.restart, self.clamp = lam, a, restart, clamp
        self._state: dict[str, Any] = {}

    def __call__(
        self, learner: Learner, batch: Batch | Sequence[Batch], optimizer: torch.optim.Optimizer, progress: Progress
    ) -> Step:
        """Make one optimiser step from two passes; return what the first one computed, with its weights to log."""
        optimizer.zero_grad(set_to_none=True)
        parameters = trained(optimizer)
        lam, a = at(self.lam, progress, "lam"), at(self.a, progress, "a")
        state = self._begun(parameters)
        with restored_generators(learner):
            new = self._pass(learner, batch, progress, parameters, lam)
        now = [p.detach().clone() for p in parameters]
        _write(parameters, state["before"])
        try:
            with learner.held(again=True):
                old = self._pass(learner, batch, progress, parameters, lam)
        finally:
            _write(parameters, now)
        with torch.no_grad():
            knobs = torch.stack([_scalar(x, new.log_g) for x in (lam, a, at(self.restart, progress, "restart"))])
            log_u, direction = self._moved(state, knobs, new, old)
            self._store(state, {"knobs": knobs, "log_u": log_u, "direction": direction, "before": now})
        for p, d, used in zip(parameters, direction, new.used, strict=True):
            p.grad = d if used else None
        optimizer.step()
        return new.step

    def _pass(
        self, learner: Learner, batch: Batch | Sequence[Batch], progress: Progress, parameters: list[Any], lam: Any
    ) -> _Pass:
        """Evaluate value and gradient over the batch, micro-batch by micro-batch."""
        total: Any = None
        gradient: list[Tensor] = []
        used, steps, count = [False] * len(parameters), [], 0
        for one in micro_batches(batch):
            step = learner.training_step(one, progress)
            losses = losses_of(step)
            x = losses.detach().to(widest_float(losses.device)) / lam
            p, log_sum = x.softmax(0), x.logsumexp(0)
            if self.clamp:
                p = p * (lam * (-x.max()).exp()).clamp(max=1.0)
            found: Sequence[Any] = torch.autograd.grad(
                (p.to(losses.dtype) * losses).sum(), parameters, allow_unused=True
            )
            used = [before or g is not None for before, g in zip(used, found, strict=True)]
            found = [torch.zeros_like(w) if g is None else g for w, g in zip(parameters, found, strict=True)]
            if total is None:
                total, gradient = log_sum, list(found)
            else:
                both = torch.logaddexp(total, log_sum)
                shares = ((total - both).exp(), (log_sum - both).exp())
                gradient = [shares[0] * g + shares[1] * f for g, f in zip(gradient, found, strict=True)]
                total = both
            count += len(losses)
            log = {**step.log, "weights": (len(losses) * p).to(losses.dtype)}
            steps.append(step._replace(log=log))
        return _Pass(total - torch.full_like(total, count).log(), gradient, used, joined(steps))

    def _moved(self, state: Mapping[str, Any], knobs: Tensor, new: _Pass, old: _Pass) -> tuple[Tensor, list[Tensor]]:
        """Return log u and lam v / u after this step."""
        a, log_u = knobs[1], state["log_u"]
        shift = torch.maximum(torch.maximum(new.log_g, old.log_g), log_u)
        u, g, g_old = ((x - shift).exp() for x in (log_u, new.log_g, old.log_g))
        same = ((knobs == state["knobs"]) | ((knobs - state["knobs"]).abs() <= SAME * knobs.abs())).all()
        goes_on = same & (g + u - g_old > LOST)  # the largest of the three is 1
        u_new = torch.where(goes_on, a * g + (1 - a) * (g + u - g_old), g)
        factors = [torch.where(goes_on, x / u_new, 0.0) for x in ((1 - a) * u, (1 - a) * g_old)]
        mine = torch.where(goes_on, g / u_new, 1.0)
        direction = [
            mine.to(r.dtype) * r + factors[0].to(r.dtype) * v - factors[1].to(r.dtype) * o
            for r, v, o in zip(new.gradient, state["direction"], old.gradient, strict=True)
        ]
        return torch.where(goes_on, u_new.log() + shift, new.log_g), direction

    def _store(self, state: dict[str, Any], moved: Mapping[str, Any]) -> None:
        """Copy the moved values into the state, none of them where a gradient is not finite (an overflow)."""
        finite = torch.nn.utils.get_total_norm(moved["direction"]).isfinite() & moved["log_u"].isfinite()
        for name, values in moved.items():
            pairs = zip(values, state[name], strict=True) if isinstance(values, list) else [(values, state[name])]
            for value, kept in pairs:
                kept.copy_(torch.where(finite, value, kept))

    def _begun(self, parameters: Sequence[Any]) -> dict[str, Any]:
        """Return the state, on the parameters' device; before the first step it is of no knobs."""
        device = parameters[0].device
        if not self._state:
            wide = widest_float(device)
            self._state = {
                "knobs": torch.full((3,), float("nan"), dtype=wide, device=device),
                "log_u": torch.zeros((), dtype=wide, device=device),
                "direction": [torch.zeros_like(p, requires_grad=False) for p in parameters],
                "before": [p.detach().clone() for p in parameters],
            }
        elif self._state["log_u"].device != device:
            self._state = _each(self._state, lambda value: value.to(device))
        if len(self._state["before"]) != len(parameters):
            raise ValueError(
                f"the state must be of {len(self._state['before'])} parameters, got {len(parameters)}; use a new "
                "RECOVER for another network"
            )
        return self._state

    def state_dict(self) -> dict[str, Any]:
        """Return the averages and the parameters before the latest step; empty before the first step."""
        return dict(self._state)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore a state."""
        self._state = _each(state_dict, lambda value: value.detach().clone())


def _each(state: Mapping[str, Any], change: Any) -> dict[str, Any]:
    return {k: [change(t) for t in v] if isinstance(v, list | tuple) else change(v) for k, v in state.items()}


def _write(parameters: Sequence[Any], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for p, value in zip(parameters, values, strict=True):
            p.copy_(value)
    torch.clear_autocast_cache()  # of an autocast around the step: it has the parameters' copies from before


def _scalar(value: float | Tensor, like: Tensor) -> Tensor:
    return value.to(like.dtype) if isinstance(value, Tensor) else torch.full_like(like, value)
