"""The family tree: every loss is another one at the end of its knobs. Two tables, read row by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.losses.loss_cases import COUNTS, C, batch, soft
from torch import Tensor, nn
from torch.nn.functional import one_hot

from longtail import functional
from longtail import losses as L
from longtail.facts import class_weights
from longtail.facts.schedules import switch

EQUAL = [40] * C
N = torch.tensor(COUNTS, dtype=torch.float64)
PI = N / N.sum()
LOG_PI = PI.log()
ADAPTIVE = PI**-0.25
LDAM_MARGINS = 0.5 * (N / N.min()) ** -0.25
NU = class_weights.power(N, 0.4, dtype=torch.float64)
LATE, EARLY = switch(0.8, 0.0, 1.0), switch(0.2, 0.0, 1.0)  # the claims are checked at progress 0.5
DRW = {"class_weight": "effective", "reweight": LATE}


class Of(nn.Module):
    """A loss of changed logits, times a factor."""

    def __init__(self, loss: L.Loss, text: str, change: Callable[[Tensor], Tensor], factor: float = 1.0) -> None:
        super().__init__()
        self.loss, self.text, self.change, self.factor = loss, text, change, factor

    def forward(self, z: Tensor, y: Tensor, **rest: Any) -> Tensor:
        loss: Tensor = self.factor * self.loss(self.change(z), y, **rest)
        return loss

    def __repr__(self) -> str:
        return f"{self.factor:g} {self.loss} of {self.text}"


def of_scaled(s: float, loss: L.Loss) -> Of:
    return Of(loss, f"{s:g} z", lambda z: s * z)


def of_adjusted(tau: float, loss: L.Loss) -> Of:
    return Of(loss, f"z + {tau:g} log pi", lambda z: z + tau * LOG_PI)


def times(factor: float, loss: L.Loss) -> Of:
    return Of(loss, "z", lambda z: z, factor)


def relative_f(f: Tensor, by: Tensor | float = 0.0) -> dict[str, Any]:
    """The equalised loss of F = f e^by: Delta_yk = log f_k + by."""
    return {"delta": f.tolist(), "alpha": 1.0, "margin": (f.log() + by).tolist()}


class Regression(nn.Module):
    """The squared distance of z from targets 2 q - 1."""

    def forward(self, z: Tensor, y: Tensor, **rest: Any) -> Tensor:
        q = y if y.is_floating_point() else one_hot(y, C)
        return (z - 2 * q + 1).square().sum(1).mean() + 4 * (q - q**2).sum() / len(z)


CE = L.CrossEntropyLoss()
CE30 = of_scaled(30.0, CE)
CE_COUNTS = partial(L.CrossEntropyLoss, COUNTS)
CE_BATCH = partial(L.CrossEntropyLoss, normalize="batch")
LA, VS, CDT = (partial(loss, COUNTS) for loss in (L.LogitAdjustedLoss, L.VSLoss, L.CDTLoss))
LDAM, LDAM_HG = partial(L.LDAMLoss, COUNTS), partial(L.LDAMHingeLoss, COUNTS)
UNIFORM, MM, FOCAL = L.UniformMarginLoss, L.MaximumMarginLoss, partial(L.FocalLoss, COUNTS)
SMOOTHED, SEQL = partial(L.LabelAwareSmoothingLoss, COUNTS), partial(L.SoftmaxEqualizationLoss, COUNTS)
PAIRWISE, CB = partial(L.PairwiseLoss, COUNTS), partial(L.ClassBalancedLoss, COUNTS)
SQUARES = L.LeastSquaresLoss()
GCE, SCE, BOOTSTRAP = L.GeneralizedCrossEntropyLoss, L.SymmetricCrossEntropyLoss, L.BootstrappedLoss
ONES = {"delta": "ones", "alpha": 1.0}
BALANCED = L.BalancedSoftmaxLoss(COUNTS)

Row = tuple[nn.Module, nn.Module, str]
TABLE: list[Row] = [
    # a loss, the one that it is, and why
    #
    # offsets and factors of the logits
    (LA(tau=0.0), CE, "no offset"),
    (LA(tau=1.0), BALANCED, "log n and log pi differ by the same log N in every class"),
    (VS(gamma=0.0, tau=1.7), LA(tau=1.7), "every factor is 1"),
    (VS(gamma=0.0, tau=1.0), BALANCED, "every factor is 1, tau is 1"),
    (VS(gamma=0.4, tau=0.0), CDT(gamma=0.4), "no offset"),
    (VS(gamma=0.0, tau=0.0), CE, "no offset, every factor is 1"),
    (CDT(gamma=0.0), CE, "every factor is 1"),
    (LA(tau=1.7), of_adjusted(1.7, CE), "its definition"),
    (VS(gamma=0.3, tau=1.7), Of(LA(tau=1.7), "(n / n_max)^0.3 z", lambda z: (N / N.max()) ** 0.3 * z), "CDT, then LA"),
    (VS(gamma=switch(0.8, 0.3, 0.0), class_weight=NU, reweight=LATE), VS(gamma=0.3), "TLA + ADRW before the switch"),
    (VS(gamma=switch(0.2, 0.3, 0.0), class_weight=NU, reweight=EARLY), LA(class_weight=NU), "TLA + ADRW after it"),
    #
    # the pairwise family
    (PAIRWISE(), LA(), "delta = pi: alpha is 1, Delta_yk = log pi_k - log pi_y"),
    (PAIRWISE(delta="ones"), CE_BATCH(class_weight=1 / PI), "delta = 1: alpha is 1 / pi, Delta is 0"),
    (PAIRWISE(**ONES), CE, "alpha is 1, Delta is 0"),
    (L.PairwiseLoss(delta=PI**1.7, alpha=1.0), LA(tau=1.7), "log pi^tau is tau log pi"),
    (PAIRWISE(delta=3 * PI.sqrt()), PAIRWISE(delta=PI.sqrt(), alpha=3 / PI.sqrt()), "only ratios of delta enter Delta"),
    (PAIRWISE(**ONES, margin=LDAM_MARGINS), LDAM(scale=1.0), "Delta_yk is LDAM's margin of y"),
    (PAIRWISE(**ONES, margin=ADAPTIVE), LDAM(scale=1.0, max_margin=ADAPTIVE.max().item()), "adaptive is LDAM at s = 1"),
    (PAIRWISE(margin=ADAPTIVE), of_adjusted(1.0, PAIRWISE(**ONES, margin=ADAPTIVE)), "adaptive and adjusted"),
    (PAIRWISE(delta=[0.3] * C, alpha=1.0, margin=-1.2), PAIRWISE(**ONES, margin=-1.2), "equal delta cancel in Delta"),
    (PAIRWISE(delta=[1.0] * C, alpha=1.0, margin=0.0), CE, "equalised with F = 1: log F is 0"),
    (L.PairwiseLoss(delta=[1.0] * C, alpha=1.0, margin=0.7), UNIFORM(margin=0.7, scale=1.0), "one margin for all"),
    (PAIRWISE(**relative_f(N / N.max())), PAIRWISE(**relative_f(PI, by=-LOG_PI.max())), "n / n_max is pi / pi_max"),
    #
    # margins
    (LDAM(max_margin=0.0), CE30, "no margin"),
    (UNIFORM(margin=0.0), CE30, "no margin"),
    (LDAM(scale=7.0, max_margin=0.3), of_scaled(7.0, LDAM(scale=1.0, max_margin=2.1)), "s (z - m) = s z - s m"),
    (LDAM_HG(scale=7.0, max_margin=0.3), of_scaled(7.0, LDAM_HG(max_margin=2.1)), "s (z - m) = s z - s m"),
    (LDAM_HG(scale=7.0), times(7.0, LDAM_HG()), "the hinge is linear in s"),
    (LDAM_HG(exponent=0.0, max_margin=0.4), L.LDAMHingeLoss(EQUAL, max_margin=0.4), "n^0 is 1: HG, one margin"),
    (LDAM(exponent=0.0, max_margin=0.3), UNIFORM(margin=0.3), "n^0 is 1: one margin"),
    (LDAM(exponent=0.0, max_margin=0.3, **DRW), UNIFORM(COUNTS, margin=0.3, **DRW), "n^0 is 1: LDAM-DRW is M-DRW"),
    (LDAM(test_prior=[7.0] * C), LDAM(), "n'_j is the same in every class"),
    (LDAM(test_prior=COUNTS), LDAM(exponent=0.0), "n' = n: every ratio is 1"),
    (LDAM(test_prior=N.sqrt()), LDAM(exponent=0.125), "n^(1/2) / n = n^(-1/2)"),
    (MM(delta_minus=800.0), CE30, "exp(-800) is 0"),
    (MM(COUNTS, delta_minus=800.0, ldam=True), CE30, "exp(-800 + 1/2) is 0"),
    (L.LDAMLoss(EQUAL, max_margin=0.3), UNIFORM(margin=0.3), "equal counts: one margin"),
    (L.LDAMLoss(EQUAL, max_margin=0.3, **DRW), UNIFORM(EQUAL, margin=0.3, **DRW), "equal counts: LDAM-DRW is M-DRW"),
    (MM(EQUAL, delta_minus=0.9, ldam=True, **DRW), MM(delta_minus=0.4), "equal counts: MM-LDAM-DRW is MM"),
    (MM(EQUAL, delta_minus=0.9, ldam=True), MM(delta_minus=0.4), "equal counts: every margin of LDAM is 1/2"),
    #
    # one against the rest
    (L.DotRegressionLoss(scale=7.0), times(7.0, L.DotRegressionLoss()), "dot regression is linear in s"),
    (SQUARES, Regression(), "t^2 = 1: ridge regression on labels of 1 and -1, plus a constant for soft targets"),
    #
    # focal and class-balanced
    (FOCAL(gamma=0.0), CE, "the modulator is 1"),
    (FOCAL(alpha=1.0), FOCAL(), "alpha is 1"),
    (FOCAL(gamma=0.0, class_weight="inverse"), CE_BATCH(COUNTS, class_weight="inverse"), "the modulator is 1"),
    (FOCAL(weight_in_modulator=True), FOCAL(), "no weight enters the modulator"),
    (FOCAL(gamma=0.0, weight_in_modulator=True, class_weight="sqrt"), FOCAL(gamma=0.0, class_weight="sqrt"), "it is 1"),
    (CB(beta=0.0), CE, "every effective number is 1"),
    (L.ClassBalancedLoss(beta=0.0), CE, "every effective number is 1, whatever the counts"),
    (CB(), CE_BATCH(COUNTS, class_weight="effective"), "its definition"),
    (CB(base="focal", gamma=0.0), CB(base="sigmoid"), "the modulator is 1"),
    #
    # smoothing and equalisation
    (SMOOTHED(head=0.0, tail=0.0), CE, "no label is smoothed"),
    (SMOOTHED(shape="exp", power=1.0), SMOOTHED(shape="linear"), "u^1 is u"),
    (SMOOTHED(head=0.2, tail=0.2), SMOOTHED(head=0.2, tail=0.2, shape="convex"), "one strength, whatever the shape"),
    (
        L.LabelAwareSmoothingLoss(EQUAL, head=0.3),
        SMOOTHED(head=0.3, tail=0.3),
        "equal counts: all have the strength head",
    ),
    (SEQL(gamma=0.0), CE, "no class is left out"),
    (SEQL(gamma=1.0, rare=1e-9), CE, "no class is rare"),
    (L.SoftmaxEqualizationLoss(EQUAL), CE, "equal counts: no class is rare"),
    #
    # noisy labels
    (GCE(q=0.0), CE, "(1 - p^q) / q is -log p at q = 0"),
    (GCE(q=1e-40), CE, "q is 0 to any precision"),
    (GCE(k=0.0), GCE(), "no p is below 0"),
    (GCE(q=switch(0.2, 0.7, 0.3), k=switch(0.8, 0.0, 0.5)), GCE(q=0.3), "not truncated before the switch"),
    (GCE(k=switch(0.2, 0.0, 0.1)), GCE(k=0.1), "truncated after it"),
    (SCE(alpha=0.3, beta=0.0), times(0.3, CE), "no reverse term"),
    (SCE(alpha=0.3, label_floor=1.0), times(0.3, CE), "log 1 is 0"),
    (SCE(alpha=0.0, floor=0.0), times(-math.log(1e-4), GCE(q=1.0)), "the reverse term is -A (1 - p)"),
    (SCE(beta=0.5), SCE(label_floor=1e-2), "half of A is the A of the root"),
    (BOOTSTRAP(b=1.0), CE, "nothing is believed"),
    (BOOTSTRAP(b=1.0, hard=True), CE, "nothing is believed"),
    (L.ForwardCorrectedLoss(matrix=torch.eye(C)), CE, "no label is wrong"),
    (L.BackwardCorrectedLoss(matrix=torch.eye(C)), CE, "no label is wrong, either"),
    #
    # schedules
    (LDAM(**DRW), LDAM(), "LDAM-DRW before the switch"),
    (LDAM(class_weight="effective", reweight=EARLY), LDAM(class_weight="effective"), "LDAM-DRW after it"),
    (CE_COUNTS(**DRW), CE, "CE-DRW before the switch"),
    (CE_COUNTS(class_weight="inverse", reweight=EARLY), CE_COUNTS(class_weight="inverse"), "CE-DRW after it"),
    (UNIFORM(COUNTS, **DRW), UNIFORM(), "M-DRW before the switch"),
    (FOCAL(**DRW), FOCAL(), "focal-DRW before the switch"),
    #
    # equal counts
    (L.LogitAdjustedLoss(EQUAL, tau=1.3), CE, "equal counts: one offset for all"),
    (L.BalancedSoftmaxLoss(EQUAL), CE, "equal counts: one offset for all"),
    (L.VSLoss(EQUAL, gamma=0.4, tau=1.3), CE, "equal counts: one offset for all, every factor is 1"),
    (L.CDTLoss(EQUAL), CE, "equal counts: every factor is 1"),
    (L.PairwiseLoss(EQUAL), CE, "equal counts: alpha is 1, Delta is 0"),
    (L.PairwiseLoss(EQUAL, delta="ones"), CE_BATCH(class_weight=[C] * C), "equal counts: alpha is C, Delta is 0"),
    (L.ClassBalancedLoss(EQUAL), CE, "equal counts: every weight is 1"),
    *((CE_BATCH(EQUAL, class_weight=name), CE, "equal counts: every weight is 1") for name in class_weights.NAMED),
]
LIMITS: list[tuple[nn.Module, nn.Module, str, float]] = [
    # a loss at the end of a knob, the one that it approaches, why, and how near it is
    (GCE(q=1e-10), CE, "(1 - p^q) / q approaches -log p", 1e-8),
    (CB(beta=1 - 1e-13), CE_BATCH(COUNTS, class_weight="inverse"), "(1 - beta^n) / (1 - beta) approaches n", 1e-8),
    (times(1e-6, LDAM(scale=1e6)), LDAM_HG(), "log-sum-exp of s z, divided by s, approaches max z", 1e-5),
    (times(1e-6, UNIFORM(margin=0.4, scale=1e6)), L.LDAMHingeLoss(EQUAL, max_margin=0.4), "the same, one margin", 1e-5),
]


@cases(("left", "right", "why"), TABLE)
def test_a_loss_is_another_one(left: nn.Module, right: nn.Module, why: str) -> None:
    z, y = batch()
    z.requires_grad_()
    for targets in (y, soft()):
        one, other = left(z, targets, progress=0.5), right(z, targets, progress=0.5)
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)
        (gradient,), (expected,) = torch.autograd.grad(one, z), torch.autograd.grad(other, z)
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


@cases(("left", "right", "why", "near"), LIMITS)
def test_a_loss_approaches_another_one(left: nn.Module, right: nn.Module, why: str, near: float) -> None:
    z, y = batch()
    for targets in (y, soft()):
        torch.testing.assert_close(left(z, targets), right(z, targets), rtol=0, atol=near)


def test_no_row_compares_a_loss_with_itself_or_says_it_twice() -> None:
    sides = [(repr(left), repr(right)) for left, right, *_ in [*TABLE, *LIMITS]]
    assert all(left != right for left, right in sides)
    assert len({frozenset(pair) for pair in sides}) == len(sides)


def test_focal_at_gamma_zero_is_cross_entropy_to_the_bit() -> None:
    z, y = batch(dtype=torch.float32)
    assert torch.equal(L.FocalLoss(gamma=0.0).per_example(z, y), L.CrossEntropyLoss().per_example(z, y))


def test_the_switch_of_deferred_weights_is_at_its_point() -> None:
    z, y = batch()
    weighted = L.LDAMLoss(COUNTS, class_weight="effective")
    deferred = L.LDAMLoss(COUNTS, **DRW)
    assert torch.equal(deferred(z, y, progress=0.8), weighted(z, y))
    assert not torch.equal(deferred(z, y, progress=0.795), weighted(z, y))


def test_the_rarest_class_has_the_largest_margin_exactly() -> None:
    loss = L.LDAMLoss(COUNTS, max_margin=0.5)
    assert loss.relative_margins.max() == 1.0
    assert loss.relative_margins.argmax() == COUNTS.index(min(COUNTS))


def test_vs_at_gamma_zero_is_logit_adjustment_to_the_bit() -> None:
    z, y = batch(dtype=torch.float32)
    assert torch.equal(L.VSLoss(COUNTS, gamma=0.0).per_example(z, y), L.LogitAdjustedLoss(COUNTS).per_example(z, y))
    assert torch.equal(L.PairwiseLoss(COUNTS).per_example(z, y), L.LogitAdjustedLoss(COUNTS).per_example(z, y))


def test_a_tie_counts_as_wrong_for_the_maximum_margin() -> None:
    tie = torch.tensor([[0.3, 0.3, -0.2]], dtype=torch.float64)
    margins = functional.maximum_margins(tie, torch.tensor([0]), 0.6, 1.5)
    assert margins.item() == pytest.approx(math.exp(-0.6))
    just_right = functional.maximum_margins(tie + torch.tensor([1e-9, 0, 0]), torch.tensor([0]), 0.6, 1.5)
    assert just_right.item() == pytest.approx(math.exp(-0.9))


def test_rare_classes_have_the_larger_maximum_margin_under_ldam() -> None:
    z = torch.zeros(C, C, dtype=torch.float64)
    y = torch.arange(C)
    less = functional.ldam_margins(COUNTS, 0.5, dtype=torch.float64)
    margins = functional.maximum_margins(z, y, 0.6, 1.5, less=less)
    assert (margins.diff() > 0).all()


def test_at_a_large_beta_examples_that_lead_have_no_maximum_margin_and_the_others_keep_theirs() -> None:
    z, y = batch()
    leads = z.argmax(1) == y
    assert 0 < leads.sum() < len(y)
    at_the_end, plain = MM(beta=1e4).per_example(z, y), CE.per_example(30 * z, y)
    torch.testing.assert_close(at_the_end[leads], plain[leads])
    torch.testing.assert_close(at_the_end[~leads], MM(beta=1.5).per_example(z, y)[~leads])
