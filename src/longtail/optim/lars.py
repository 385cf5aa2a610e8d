"""LARS: momentum SGD whose learning rate is scaled layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor


@final
class LARS(torch.optim.Optimizer):
    """Momentum SGD with a learning rate of its own for every weight matrix, for large batches.

    rate = eta ||w|| / (||g|| + weight_decay ||w||)
    v <- momentum v + lr rate (g + weight_decay w), w <- w - v

    g is the gradient and ||.|| the norm over all values of one parameter. Where ||w|| or ||g|| is 0, rate is 1. Biases
    and the scales of norms, parameters of at most one dimension, have rate 1 and no weight decay.

    Under a `torch.amp.GradScaler` it unscales gradients and skips steps by itself, without waiting for the device.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate; in a captured step a 0-dim tensor.
        momentum: in [0, 1).
        weight_decay: >= 0.
        eta: > 0, the trust coefficient.
        vectors: whether parameters of at most one dimension are treated like all others.

    Raises:
        ValueError: an argument out of range.

    You, Gitman and Ginsburg 2017, "Large batch training of convolutional networks", eq. 6 and algorithm 1. As there,
    and not as in torch's SGD, the learning rate is inside of the momentum. SimCLR's and BYOL's code leave biases and
    norms out, and divide by ||g + weight_decay w||.
    """

    _step_supports_amp_scaling = True  # `grad_scale` and `found_inf` are attributes of the optimiser during a step

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 0.001,
        vectors: bool = False,
    ) -> None:
        for name, value, holds, rule in (
            ("lr", lr, lr >= 0, ">= 0"),
            ("momentum", momentum, 0 <= momentum < 1, "in [0, 1)"),
            ("weight_decay", weight_decay, weight_decay >= 0, ">= 0"),
            ("eta", eta, eta > 0, "> 0"),
        ):
            if not holds:
                raise ValueError(f"{name} must be {rule}, got {value!r}; the defaults are SimCLR's")
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eta": eta, "vectors": vectors}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Make one step; torch's protocol."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        scale, overflow = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad if scale is None else p.grad / scale, group, overflow)
        return loss

    def _update(self, p: Tensor, gradient: Tensor, group: dict[str, Any], overflow: Tensor | None) -> None:
        state = self.state[p]
        if not state:
            state["velocity"] = torch.zeros_like(p)
        v: Tensor = state["velocity"]
        if group["vectors"] or p.ndim > 1:
            decay, length, slope = group["weight_decay"], p.norm(), gradient.norm()
            rate = torch.where((length > 0) & (slope > 0), group["eta"] * length / (slope + decay * length), 1.0)
            change = group["lr"] * rate * (gradient + decay * p)
        else:
            change = group["lr"] * gradient
        velocity = group["momentum"] * v + change
        moved = p - velocity
        if overflow is not None:  # the gradient is not finite: everything stays
            velocity, moved = torch.where(overflow > 0, v, velocity), torch.where(overflow > 0, p, moved)
        v.copy_(velocity)
        p.copy_(moved)
