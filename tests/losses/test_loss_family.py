"""The family tree: every loss is another one at the end of its knobs."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from tests.cases import cases
from tests.losses.loss_cases import COUNTS, C, batch, soft
from torch import nn

from longtail import functional
from longtail import losses as L
from longtail.facts import class_weights
from longtail.facts.schedules import switch

EQUAL = [40] * C
DRW = {"class_weight": "effective", "reweight": switch(0.8, 0.0, 1.0)}


class Scaled(nn.Module):
    """Cross-entropy of s z."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.ce = scale, L.CrossEntropyLoss()

    def forward(self, z: torch.Tensor, y: torch.Tensor, **rest: object) -> torch.Tensor:
        return self.ce(self.scale * z, y, **rest)


CE, CE30 = L.CrossEntropyLoss(), Scaled(30.0)
CE_BATCH = partial(L.CrossEntropyLoss, normalize="batch")
N = torch.tensor(COUNTS, dtype=torch.float64)
PI = N / N.sum()
MARGIN_1 = 0.5 * (N / N.min()) ** -0.25
NU = class_weights.power(N, 0.4, dtype=torch.float64)
TLA = partial(L.VSLoss, COUNTS, gamma=switch(0.8, 0.3, 0.0), class_weight=NU)

TREE = {
    # this loss                                    is                                          that one
    "LA(tau=0) = CE": (L.LogitAdjustedLoss(COUNTS, tau=0.0), CE),
    "LA(tau=1) = balanced softmax": (L.LogitAdjustedLoss(COUNTS), L.BalancedSoftmaxLoss(COUNTS)),
    "VS(0, tau) = LA(tau)": (L.VSLoss(COUNTS, gamma=0.0, tau=1.7), L.LogitAdjustedLoss(COUNTS, tau=1.7)),
    "VS(0, 1) = balanced softmax": (L.VSLoss(COUNTS, gamma=0.0), L.BalancedSoftmaxLoss(COUNTS)),
    "VS(g, 0) = CDT(g)": (L.VSLoss(COUNTS, gamma=0.4, tau=0.0), L.CDTLoss(COUNTS, gamma=0.4)),
    "VS(0, 0) = CE": (L.VSLoss(COUNTS, gamma=0.0, tau=0.0), CE),
    "CDT(0) = CE": (L.CDTLoss(COUNTS, gamma=0.0), CE),
    "VS-TLA-ADRW before the switch = VS": (TLA(reweight=switch(0.8, 0.0, 1.0)), L.VSLoss(COUNTS)),
    "VS-TLA-ADRW after it = LA(n^-nu)": (
        TLA(reweight=switch(0.5, 0.0, 1.0), gamma=switch(0.5, 0.3, 0.0)),
        L.LogitAdjustedLoss(COUNTS, class_weight=NU),
    ),
    "pairwise(pi) = LA(1)": (L.PairwiseLoss(COUNTS), L.LogitAdjustedLoss(COUNTS)),
    "pairwise(1) = CE / pi": (L.PairwiseLoss(COUNTS, delta="ones"), CE_BATCH(class_weight=1 / PI)),
    "pairwise(pi^tau, alpha=1) = LA(tau)": (
        L.PairwiseLoss(delta=PI**1.7, alpha=1.0),
        L.LogitAdjustedLoss(COUNTS, tau=1.7),
    ),
    "pairwise(1, alpha=1) = CE": (L.PairwiseLoss(COUNTS, delta="ones", alpha=1.0), CE),
    "pairwise(c delta) = c pairwise(delta)": (
        L.PairwiseLoss(COUNTS, delta=3 * PI.sqrt()),
        L.PairwiseLoss(COUNTS, delta=PI.sqrt(), alpha=3 / PI.sqrt()),
    ),
    "pairwise(1, alpha=1, LDAM's margin) = LDAM(s=1)": (
        L.PairwiseLoss(COUNTS, delta="ones", alpha=1.0, margin=MARGIN_1),
        L.LDAMLoss(COUNTS, scale=1.0),
    ),
    "pairwise(1, alpha=1, m) = uniform margin(m, s=1)": (
        L.PairwiseLoss(delta=[1.0] * C, alpha=1.0, margin=0.7),
        L.UniformMarginLoss(margin=0.7, scale=1.0),
    ),
    "LDAM(margin=0) = CE of s z": (L.LDAMLoss(COUNTS, max_margin=0.0), CE30),
    "uniform margin(0) = CE of s z": (L.UniformMarginLoss(margin=0.0), CE30),
    "MM(delta_minus -> inf) = CE of s z": (L.MaximumMarginLoss(delta_minus=800.0), CE30),
    "focal(gamma=0) = CE": (L.FocalLoss(gamma=0.0), CE),
    "focal(alpha=1) = focal": (L.FocalLoss(alpha=1.0), L.FocalLoss()),
    "CB(beta=0) = CE": (L.ClassBalancedLoss(beta=0.0), CE),
    "CB(beta=0) with counts = CE": (L.ClassBalancedLoss(COUNTS, beta=0.0), CE),
    "CB = CE(effective) over the batch": (L.ClassBalancedLoss(COUNTS), CE_BATCH(COUNTS, class_weight="effective")),
    "CB(beta -> 1) = CE(inverse)": (
        L.ClassBalancedLoss(COUNTS, beta=1 - 1e-13),
        CE_BATCH(COUNTS, class_weight="inverse"),
    ),
    "CB focal(gamma=0) = CB sigmoid": (
        L.ClassBalancedLoss(COUNTS, base="focal", gamma=0.0),
        L.ClassBalancedLoss(COUNTS, base="sigmoid"),
    ),
    "LDAM-DRW before the switch = LDAM": (L.LDAMLoss(COUNTS, **DRW), L.LDAMLoss(COUNTS)),
    "CE-DRW before the switch = CE": (L.CrossEntropyLoss(COUNTS, **DRW), CE),
    "label smoothing 0 = none": (L.LDAMLoss(COUNTS, label_smoothing=0.0), L.LDAMLoss(COUNTS)),
    "equal counts: LA = CE": (L.LogitAdjustedLoss(EQUAL, tau=1.3), CE),
    "equal counts: balanced softmax = CE": (L.BalancedSoftmaxLoss(EQUAL), CE),
    "equal counts: VS = CE": (L.VSLoss(EQUAL, gamma=0.4, tau=1.3), CE),
    "equal counts: CDT = CE": (L.CDTLoss(EQUAL), CE),
    "equal counts: pairwise = CE": (L.PairwiseLoss(EQUAL), CE),
    "equal counts: pairwise(1) = C CE": (L.PairwiseLoss(EQUAL, delta="ones"), CE_BATCH(class_weight=[C] * C)),
    "equal counts: LDAM = uniform margin": (L.LDAMLoss(EQUAL, max_margin=0.3), L.UniformMarginLoss(margin=0.3)),
    "equal counts: MM-LDAM(d) = MM(d - 1/2)": (
        L.MaximumMarginLoss(EQUAL, delta_minus=0.9, ldam=True),
        L.MaximumMarginLoss(delta_minus=0.4),
    ),
    "equal counts: CB = CE": (L.ClassBalancedLoss(EQUAL), CE),
    "equal counts: inverse = CE": (CE_BATCH(EQUAL, class_weight="inverse"), CE),
    "equal counts: sqrt = CE": (CE_BATCH(EQUAL, class_weight="sqrt"), CE),
    "equal counts: effective = CE": (CE_BATCH(EQUAL, class_weight="effective"), CE),
}


@cases("kind", ["index", "soft"])
@cases("claim", TREE)
def test_family_tree(claim: str, kind: str) -> None:
    this, that = TREE[claim]
    z, y = batch()
    z.requires_grad_()
    targets = y if kind == "index" else soft()
    here, there = this(z, targets, progress=0.5), that(z, targets, progress=0.5)
    torch.testing.assert_close(here, there, rtol=1e-11, atol=1e-12)
    (here_grad,), (there_grad,) = torch.autograd.grad(here, z), torch.autograd.grad(there, z)
    torch.testing.assert_close(here_grad, there_grad, rtol=1e-10, atol=1e-12)


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


def test_the_hinge_is_what_the_margin_loss_becomes_at_a_large_scale() -> None:
    z, y = batch()
    for targets in (y, soft()):
        hinge = L.LDAMHingeLoss(COUNTS).per_example(z, targets)
        softened = L.LDAMLoss(COUNTS, scale=1e6).per_example(z, targets) / 1e6
        torch.testing.assert_close(softened, hinge, rtol=0, atol=1e-5)


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
