"""AdaGrad and RMSProp on weighted losses."""

from __future__ import annotations

from typing import Any, final

import torch

from longtail import instance_weights
from longtail.facts.knobs import Knob
from longtail.optim.weighted import Weighted


@final
class ABAdaGrad(Weighted, torch.optim.Adagrad):
    """`torch.optim.Adagrad` on sum_i p_i l_i / N, p_i the weights of `instance_weights.ABSGD(lam, gamma)`.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate.
        lam: lambda, > 0 for class imbalance, < 0 for label noise; a number or a schedule.
        gamma: in (0, 1], the share of the new batch in the moving average; a number or a schedule.
        init: where that average starts, and starts again whenever lam changes: "first", "zero" or a number > 0.
        lr_decay: torch's.
        weight_decay: coupled, torch's.
        eps: torch's.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        *,
        lam: Knob,
        gamma: Knob = 0.5,
        init: str | float = "first",
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        self.weighting = instance_weights.ABSGD(lam, gamma, init=init)
        super().__init__(params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)


@final
class ABRMSProp(Weighted, torch.optim.RMSprop):
    """`torch.optim.RMSprop` on sum_i p_i l_i / N, p_i the weights of `instance_weights.ABSGD(lam, gamma)`.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate.
        lam: lambda, > 0 for class imbalance, < 0 for label noise; a number or a schedule.
        gamma: in (0, 1], the share of the new batch in the moving average; a number or a schedule.
        init: where that average starts, and starts again whenever lam changes: "first", "zero" or a number > 0.
        alpha: torch's smoothing constant of squared gradients.
        eps: torch's.
        momentum: torch's.
        weight_decay: coupled, torch's.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        *,
        lam: Knob,
        gamma: Knob = 0.5,
        init: str | float = "first",
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.weighting = instance_weights.ABSGD(lam, gamma, init=init)
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)
