"""Every loss once or more, with the formula it is held to: what the contract tests run over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import loss_formulas as formulas
import torch
from torch import Tensor

from longtail import losses

COUNTS = [500, 120, 30, 7, 2]
C = len(COUNTS)


@dataclass(frozen=True)
class Case:
    """A loss, its arguments, the formula of one example, and the class weight that is its own."""

    loss: type[losses.Loss]
    formula: formulas.OneLoss
    knobs: dict[str, Any] = field(default_factory=dict)
    own_weight: tuple[float, ...] | None = None

    def build(self, **common: Any) -> losses.Loss:
        return self.loss(COUNTS, **self.knobs, **common)


def _case(loss: type[losses.Loss], formula: Callable[..., float], /, **knobs: Any) -> Case:
    own = None
    if loss is losses.ClassBalancedLoss:
        own = tuple(formulas.effective_weights(COUNTS, knobs.get("beta", 0.9999)))
    return Case(loss, formula, knobs, own)


L = losses
CASES: dict[str, Case] = {
    "ce": _case(L.CrossEntropyLoss, formulas.cross_entropy),
    "focal": _case(L.FocalLoss, partial(formulas.focal, gamma=2.0)),
    "focal-0.5": _case(L.FocalLoss, partial(formulas.focal, gamma=0.5), gamma=0.5),
    "cb-softmax": _case(L.ClassBalancedLoss, formulas.cross_entropy),
    "cb-sigmoid": _case(L.ClassBalancedLoss, formulas.sigmoid_cross_entropy, base="sigmoid", beta=0.99),
    "cb-focal": _case(L.ClassBalancedLoss, partial(formulas.sigmoid_focal, gamma=0.5), base="focal", gamma=0.5),
    "sigmoid-ce": _case(L.ClassBalancedLoss, formulas.sigmoid_cross_entropy, base="sigmoid", beta=0.0),
    "ldam": _case(L.LDAMLoss, partial(formulas.ldam, n=COUNTS, max_margin=0.5, scale=30.0)),
    "ldam-s5": _case(
        L.LDAMLoss, partial(formulas.ldam, n=COUNTS, max_margin=0.3, scale=5.0), max_margin=0.3, scale=5.0
    ),
    "la": _case(L.LogitAdjustedLoss, partial(formulas.logit_adjusted, n=COUNTS, tau=1.0)),
    "la-1.7": _case(L.LogitAdjustedLoss, partial(formulas.logit_adjusted, n=COUNTS, tau=1.7), tau=1.7),
    "bal-softmax": _case(L.BalancedSoftmaxLoss, partial(formulas.logit_adjusted, n=COUNTS, tau=1.0)),
}
NAMES = list(CASES)
TAKES_CLASS_WEIGHT = [name for name, case in CASES.items() if case.loss is not L.ClassBalancedLoss]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 12, *dims: int, spread: float = 1.5, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Logits (n, C, *dims) and class indices (n, *dims) in which every class occurs."""
    g = generator()
    logits = spread * torch.randn(n, C, *dims, generator=g, dtype=torch.float64)
    targets = torch.randint(C, (n, *dims), generator=g)
    targets.view(-1)[:C] = torch.arange(min(C, targets.numel()))
    return logits.to(dtype), targets


def soft(n: int = 12, *dims: int) -> Tensor:
    """Probabilities (n, C, *dims), some of them zero."""
    q = torch.rand(n, C, *dims, generator=generator(1), dtype=torch.float64)
    q[:, 0] *= torch.rand(n, *dims, generator=generator(2)) > 0.5
    return q / q.sum(1, keepdim=True)
