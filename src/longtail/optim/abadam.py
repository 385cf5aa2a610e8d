"""ABAdam: Adam on weighted losses, as the paper writes it or as torch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from longtail import instance_weights
from longtail.facts.knobs import Knob
from longtail.optim.weighted import Weighted


@final
class ABAdam(Weighted, torch.optim.Adam):
    """Adam on sum_i p_i l_i / N, with gradient G.

    h <- beta_1 h + (1 - beta_1) G, v <- beta_2 v + (1 - beta_2) G^2, both from 0
    w <- w - lr (h / (sqrt(v) + eps) + weight_decay w)

    This is the paper's eq. 9: no bias correction, eps (its G_0) outside the root, and the regulariser outside the
    preconditioner, which is decoupled weight decay. The first steps are longer than torch's: with the default betas
    lr (1 - beta_1) / sqrt(1 - beta_2) = 3.2 lr per coordinate.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate.
        lam: lambda, > 0 for class imbalance, < 0 for label noise, infinite for plain Adam; a number or a schedule.
        gamma: in (0, 1], the share of the new batch in the moving average; a number or a schedule.
        init: where that average starts, and starts again whenever lam changes: "first", "zero" or a number > 0.
        betas: the shares of the old in h and v.
        eps: the paper's G_0.
        weight_decay: coefficient of w.
        stock: `torch.optim.Adam` instead (bias correction, weight decay inside the preconditioner), as the released
            package has it.

    Qi, Xu, Yin, Jin and Yang 2023, "Attentional-biased stochastic gradient descent" (TMLR), eq. 9.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        lam: Knob,
        gamma: Knob = 0.5,
        init: str | float = "first",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        stock: bool = False,
    ) -> None:
        self.weighting = instance_weights.ABSGD(lam, gamma, init=init)
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.defaults["stock"] = stock  # defaults are pickled with the optimiser

    @torch.no_grad()
    def _descend(self) -> None:
        if self.defaults["stock"]:
            super()._descend()
        else:
            _uncorrected(self)


@final
class UncorrectedAdam(torch.optim.Adam):
    """The step of `ABAdam` for losses weighted elsewhere: eq. 9's update, `torch.optim.Adam`'s arguments.

    Under a `torch.amp.GradScaler` it unscales gradients and skips steps by itself, without waiting for the device.

    Raises:
        ValueError: at the first step, amsgrad or maximize, which eq. 9 does not have.
    """

    _step_supports_amp_scaling = True  # `grad_scale` and `found_inf` are attributes of the optimiser during a step

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Make one step; torch's protocol."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        _uncorrected(self)
        return loss


def _uncorrected(optimizer: torch.optim.Adam) -> None:
    scale, overflow = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
    for group in optimizer.param_groups:
        beta_1, beta_2 = group["betas"]
        for name in ("amsgrad", "maximize"):
            if group[name]:
                raise ValueError(f"{name} must be False for the paper's eq. 9, got True; take torch.optim.Adam")
        for p in group["params"]:
            if p.grad is None:
                continue
            state: dict[str, Tensor] = optimizer.state[p]
            if not state:
                state["step"] = torch.zeros(())  # torch's Adam asks for it when a state is loaded
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            h, v = state["exp_avg"], state["exp_avg_sq"]
            before = () if overflow is None else tuple(t.clone() for t in (p, h, v))
            gradient = p.grad if scale is None else p.grad / scale
            h.mul_(beta_1).add_(gradient, alpha=1 - beta_1)
            v.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
            lr = group["lr"]
            p.mul_(1 - lr * group["weight_decay"])
            if isinstance(lr, Tensor):  # `value` must be a number
                p.sub_(lr * (h / (v.sqrt() + group["eps"])))
            else:
                p.addcdiv_(h, v.sqrt() + group["eps"], value=-lr)
            for new, old in zip((p, h, v), before, strict=False):
                new.copy_(torch.where(overflow > 0, old, new))  # type: ignore[arg-type, operator]
