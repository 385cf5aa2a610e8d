"""ABSGD as an optimiser: momentum SGD on weighted losses."""

from __future__ import annotations

from typing import Any, final

import torch

from longtail import instance_weights
from longtail.facts.knobs import Knob
from longtail.optim.weighted import Weighted


@final
class ABSGD(Weighted, torch.optim.SGD):
    """Attentional-biased SGD: `torch.optim.SGD` on sum_i p_i l_i / N.

    w_{t+1} = w_t - lr (G_t + weight_decay w_t) + momentum (w_t - w_{t-1}), G_t = (1/N) sum_i p_i grad l_i

    This is the paper's eq. 2 as long as lr is constant. When lr changes, torch's momentum differs from it: torch
    gathers v = momentum v + gradient and multiplies all of v by the new lr, the paper's keeps its last step as it was.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate.
        lam: lambda, > 0 for class imbalance, < 0 for label noise, infinite for plain SGD; a number or a schedule.
        gamma: in (0, 1], the share of the new batch in the moving average; a number or a schedule.
        init: where that average starts, and starts again whenever lam changes: "first", "zero" or a number > 0.
        momentum: the paper's beta.
        weight_decay: coupled and not weighted, as in torch.
        nesterov: torch's.

    Qi, Xu, Yin, Jin and Yang 2023, "Attentional-biased stochastic gradient descent" (TMLR), algorithm 1.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        lam: Knob,
        gamma: Knob = 0.5,
        init: str | float = "first",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.weighting = instance_weights.ABSGD(lam, gamma, init=init)
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)
