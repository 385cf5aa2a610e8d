"""Every loss once or more, with the formula it is held to: what the contract tests run over."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from tests.losses import loss_formulas as formulas
from torch import Tensor

from longtail import losses

L = losses
Formula = Callable[..., float]
COUNTS = [500, 120, 30, 7, 2]
C = len(COUNTS)


@dataclass(frozen=True)
class Case:
    """A loss, its arguments, the formula of one example, and the class weight that is its own."""

    loss: type[losses.Loss]
    formula: formulas.OneLoss
    knobs: dict[str, Any] = field(default_factory=dict)
    own_weight: tuple[float, ...] | None = None
    counts: tuple[int, ...] = tuple(COUNTS)

    def build(self, **arguments: Any) -> losses.Loss:
        return self.loss(self.counts, **{**self.knobs, **arguments})

    def of(self, counts: Sequence[float]) -> Case:
        """The same loss of other counts; its formula no longer holds."""
        return replace(self, counts=tuple(counts), own_weight=None)

    def renamed(self, order: Sequence[int]) -> Case:
        """The same loss of the same classes in another order."""
        knobs = {k: [v[j] for j in order] if isinstance(v, list) else v for k, v in self.knobs.items()}
        if "matrix" in knobs:
            knobs["matrix"] = [[row[j] for j in order] for row in knobs["matrix"]]
        return replace(self.of([self.counts[j] for j in order]), knobs=knobs)

    @property
    def shift_invariant(self) -> bool:
        """Whether a constant added to all logits changes nothing."""
        moved = L.VSLoss | L.CDTLoss | L.BinaryHingeLoss | L.DotRegressionLoss
        return self.build().link == "softmax" and not isinstance(self.build(), moved)

    @property
    def below_zero(self) -> bool:
        """Whether some losses are below 0."""
        return self.loss is L.BackwardCorrectedLoss or self.knobs.get("k") is not None

    @property
    def holds_margin(self) -> bool:
        """Whether the gradient takes a margin that follows the logits for a constant."""
        return self.loss is L.MaximumMarginLoss


def _case(loss: type[losses.Loss], formula: Callable[..., float], /, **knobs: Any) -> Case:
    own = None
    if loss is losses.ClassBalancedLoss:
        own = tuple(formulas.effective_weights(COUNTS, knobs.get("beta", 0.9999)))
    return Case(loss, formula, knobs, own)


PI = [n / sum(COUNTS) for n in COUNTS]
ONES = [1.0] * C
DELTA = [0.3, 2.0, 1.0, 0.7, 4.0]
ADAPTIVE = [p**-0.25 for p in PI]
EQUALISED = [0.2 + 0.8 * p for p in PI]  # an F that does not fall, into (0, 1]
TRANSITIONS = [
    [0.9, 0.1, 0.0, 0.0, 0.0],
    [0.05, 0.85, 0.05, 0.05, 0.0],
    [0.0, 0.2, 0.6, 0.2, 0.0],
    [0.1, 0.1, 0.1, 0.6, 0.1],
    [0.3, 0.0, 0.0, 0.0, 0.7],
]
KNOWN: dict[str, Any] = {"matrix": TRANSITIONS}
SCE_6 = {"alpha": 6.0, "beta": 0.1, "label_floor": math.exp(-4), "floor": 0.05}


def _pairwise(alpha: Sequence[float], delta: Sequence[float], margin: Sequence[float] | None = None) -> Formula:
    return partial(formulas.pairwise, alpha=alpha, delta=formulas.log_ratios(delta, margin))


def _over_pi(delta: Sequence[float]) -> list[float]:
    return [d / p for d, p in zip(delta, PI, strict=True)]


def _smoothing(head: float, tail: float, shape: str, power: float = 2.0) -> Formula:
    return partial(formulas.label_aware, strengths=formulas.smoothing_strengths(COUNTS, head, tail, shape, power))


def _left_out(rare: float) -> Formula:
    return partial(formulas.equalised, left_out=[p < rare / C for p in PI])


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
    "ldam-test-prior": _case(
        L.LDAMLoss,
        partial(formulas.ldam, n=COUNTS, max_margin=0.5, scale=30.0, exponent=0.4, test=DELTA),
        exponent=0.4,
        test_prior=DELTA,
    ),
    "binary-hinge": _case(L.BinaryHingeLoss, formulas.binary_hinge),
    "least-squares": _case(L.LeastSquaresLoss, formulas.binary_squares),
    "dot-regression": _case(L.DotRegressionLoss, partial(formulas.dot_regression, scale=1.0)),
    "dot-regression-s5": _case(L.DotRegressionLoss, partial(formulas.dot_regression, scale=5.0), scale=5.0),
    "la": _case(L.LogitAdjustedLoss, partial(formulas.logit_adjusted, n=COUNTS, tau=1.0)),
    "la-1.7": _case(L.LogitAdjustedLoss, partial(formulas.logit_adjusted, n=COUNTS, tau=1.7), tau=1.7),
    "bal-softmax": _case(L.BalancedSoftmaxLoss, partial(formulas.logit_adjusted, n=COUNTS, tau=1.0)),
    "ldam-hinge": _case(L.LDAMHingeLoss, partial(formulas.hinge, n=COUNTS, max_margin=0.5, scale=1.0)),
    "ldam-hinge-s3": _case(
        L.LDAMHingeLoss, partial(formulas.hinge, n=COUNTS, max_margin=2.0, scale=3.0), max_margin=2.0, scale=3.0
    ),
    "uniform": _case(L.UniformMarginLoss, partial(formulas.uniform_margin, margin=0.5, scale=30.0)),
    "uniform-s5": _case(
        L.UniformMarginLoss, partial(formulas.uniform_margin, margin=0.2, scale=5.0), margin=0.2, scale=5.0
    ),
    "mm": _case(L.MaximumMarginLoss, partial(formulas.maximum_margin, delta_minus=0.6, beta=1.5, scale=30.0)),
    "mm-s2": _case(
        L.MaximumMarginLoss,
        partial(formulas.maximum_margin, delta_minus=0.2, beta=0.8, scale=2.0),
        delta_minus=0.2,
        beta=0.8,
        scale=2.0,
    ),
    "mm-ldam": _case(
        L.MaximumMarginLoss,
        partial(
            formulas.maximum_margin, delta_minus=0.6, beta=1.5, scale=5.0, ldam_margins=formulas.margins(COUNTS, 0.5)
        ),
        ldam=True,
        scale=5.0,
    ),
    "vs": _case(L.VSLoss, partial(formulas.vector_scaling, n=COUNTS, gamma=0.3, tau=1.0)),
    "vs-0.1": _case(L.VSLoss, partial(formulas.vector_scaling, n=COUNTS, gamma=0.1, tau=1.7), gamma=0.1, tau=1.7),
    "cdt": _case(L.CDTLoss, partial(formulas.vector_scaling, n=COUNTS, gamma=0.2, tau=0.0)),
    "pairwise": _case(L.PairwiseLoss, _pairwise(ONES, PI)),
    "pairwise-ones": _case(L.PairwiseLoss, _pairwise(_over_pi(ONES), ONES), delta="ones"),
    "pairwise-delta": _case(L.PairwiseLoss, _pairwise(_over_pi(DELTA), DELTA), delta=DELTA),
    "pairwise-free": _case(L.PairwiseLoss, _pairwise(PI, DELTA, ADAPTIVE), delta=DELTA, alpha=PI, margin=ADAPTIVE),
    "adaptive": _case(L.PairwiseLoss, _pairwise(ONES, ONES, ADAPTIVE), delta="ones", alpha=1.0, margin=ADAPTIVE),
    "equalised": _case(
        L.PairwiseLoss,
        partial(formulas.pairwise, alpha=ONES, delta=[[math.log(f) for f in EQUALISED]] * C),
        delta=EQUALISED,
        alpha=1.0,
        margin=[math.log(f) for f in EQUALISED],
    ),
    **{
        f"smoothing-{shape}": _case(L.LabelAwareSmoothingLoss, _smoothing(0.4, 0.1, shape), shape=shape)
        for shape in ("concave", "linear", "convex", "exp")
    },
    "smoothing-0.9": _case(
        L.LabelAwareSmoothingLoss, _smoothing(0.9, 0.0, "exp", 0.5), head=0.9, tail=0.0, shape="exp", power=0.5
    ),
    "equalised-softmax": _case(L.SoftmaxEqualizationLoss, _left_out(0.5), gamma=1.0),
    "equalised-softmax-2": _case(L.SoftmaxEqualizationLoss, _left_out(2.0), gamma=1.0, rare=2.0),
    "gce": _case(L.GeneralizedCrossEntropyLoss, partial(formulas.generalised, q=0.7)),
    "gce-0.2": _case(L.GeneralizedCrossEntropyLoss, partial(formulas.generalised, q=0.2), q=0.2),
    "gce-1": _case(L.GeneralizedCrossEntropyLoss, partial(formulas.generalised, q=1.0), q=1.0),
    "gce-truncated": _case(L.GeneralizedCrossEntropyLoss, partial(formulas.generalised, q=0.7, k=0.1), k=0.1),
    "gce-truncated-0.5": _case(
        L.GeneralizedCrossEntropyLoss, partial(formulas.generalised, q=0.3, k=0.5), q=0.3, k=0.5
    ),
    "sce": _case(L.SymmetricCrossEntropyLoss, partial(formulas.symmetric, alpha=0.1, beta=1.0)),
    "sce-6": _case(L.SymmetricCrossEntropyLoss, partial(formulas.symmetric, **SCE_6), **SCE_6),
    "bootstrap": _case(L.BootstrappedLoss, partial(formulas.bootstrapped, b=0.95, hard=False)),
    "bootstrap-0.3": _case(L.BootstrappedLoss, partial(formulas.bootstrapped, b=0.3, hard=False), b=0.3),
    "bootstrap-hard": _case(L.BootstrappedLoss, partial(formulas.bootstrapped, b=0.8, hard=True), hard=True),
    "forward": _case(L.ForwardCorrectedLoss, partial(formulas.forward_corrected, **KNOWN), **KNOWN),
    "backward": _case(L.BackwardCorrectedLoss, partial(formulas.backward_corrected, **KNOWN), **KNOWN),
    "la-adaptive": _case(L.PairwiseLoss, _pairwise(ONES, PI, ADAPTIVE), margin=ADAPTIVE),
}
ROWS = {
    "CrossEntropyLoss": ["ce"],
    "BalancedSoftmaxLoss": ["bal-softmax"],
    "LogitAdjustedLoss": ["la", "la-1.7"],
    "PairwiseLoss": ["pairwise", "pairwise-ones"],
    "PairwiseLoss(delta=tensor)": ["pairwise-delta"],
    "PairwiseLoss(delta=tensor, alpha=tensor)": ["pairwise-free", "equalised"],
    "VSLoss": ["vs", "vs-0.1"],
    "CDTLoss": ["cdt"],
    "LDAMLoss": ["ldam", "ldam-s5"],
    "LDAMLoss(test_prior=tensor)": ["ldam-test-prior"],
    "LDAMHingeLoss": ["ldam-hinge", "ldam-hinge-s3"],
    "UniformMarginLoss": ["uniform", "uniform-s5"],
    "MaximumMarginLoss": ["mm", "mm-s2"],
    "MaximumMarginLoss(ldam=True)": ["mm-ldam"],
    "BinaryHingeLoss": ["binary-hinge"],
    "LeastSquaresLoss": ["least-squares"],
    "DotRegressionLoss": ["dot-regression", "dot-regression-s5"],
    "FocalLoss": ["focal", "focal-0.5"],
    "LabelAwareSmoothingLoss": ["smoothing-concave", "smoothing-0.9"],
    "SoftmaxEqualizationLoss(gamma=1)": ["equalised-softmax", "equalised-softmax-2"],
    "GeneralizedCrossEntropyLoss": ["gce", "gce-0.2"],
    "GeneralizedCrossEntropyLoss(k=0.5)": ["gce-truncated", "gce-truncated-0.5"],
    "SymmetricCrossEntropyLoss": ["sce", "sce-6"],
    "BootstrappedLoss": ["bootstrap", "bootstrap-0.3"],
    "BootstrappedLoss(hard=True)": ["bootstrap-hard"],
    "ForwardCorrectedLoss(matrix=tensor)": ["forward"],
    "BackwardCorrectedLoss(matrix=tensor)": ["backward"],
    "ClassBalancedLoss": ["cb-softmax"],
    'ClassBalancedLoss(base="sigmoid")': ["cb-sigmoid"],
    'ClassBalancedLoss(base="focal")': ["cb-focal"],
}
"""The rows of the support table: the losses under the names a reader knows them by."""

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
