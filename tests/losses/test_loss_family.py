"""The family tree: every loss is another one at the end of its knobs."""

from __future__ import annotations

import pytest
import torch
from loss_cases import COUNTS, C, batch, soft
from torch import nn

from longtail import losses as L
from longtail.schedules import switch

EQUAL = [40] * C
DRW = {"class_weight": "effective", "reweight": switch(0.8, 0.0, 1.0)}


class Scaled(nn.Module):
    """Cross-entropy of s z."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.ce = scale, L.CrossEntropyLoss()

    def forward(self, z: torch.Tensor, y: torch.Tensor, **rest: object) -> torch.Tensor:
        return self.ce(self.scale * z, y, **rest)


CE, BATCH = L.CrossEntropyLoss(), {"normalize": "batch"}
TREE = {
    # this loss                                       is                                                that one
    "LA(tau=0) = CE": (L.LogitAdjustedLoss(COUNTS, tau=0.0), CE),
    "LA(tau=1) = balanced softmax": (L.LogitAdjustedLoss(COUNTS), L.BalancedSoftmaxLoss(COUNTS)),
    "LDAM(margin=0) = CE of s z": (L.LDAMLoss(COUNTS, max_margin=0.0), Scaled(30.0)),
    "focal(gamma=0) = CE": (L.FocalLoss(gamma=0.0), CE),
    "focal(alpha=1) = focal": (L.FocalLoss(alpha=1.0), L.FocalLoss()),
    "CB(beta=0) = CE": (L.ClassBalancedLoss(beta=0.0), CE),
    "CB(beta=0) with counts = CE": (L.ClassBalancedLoss(COUNTS, beta=0.0), CE),
    "CB = CE(effective) over the batch": (
        L.ClassBalancedLoss(COUNTS),
        L.CrossEntropyLoss(COUNTS, class_weight="effective", **BATCH),
    ),
    "CB(beta -> 1) = CE(inverse)": (
        L.ClassBalancedLoss(COUNTS, beta=1 - 1e-13),
        L.CrossEntropyLoss(COUNTS, class_weight="inverse", **BATCH),
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
    "equal counts: CB = CE": (L.ClassBalancedLoss(EQUAL), CE),
    "equal counts: inverse = CE": (L.CrossEntropyLoss(EQUAL, class_weight="inverse", **BATCH), CE),
    "equal counts: sqrt = CE": (L.CrossEntropyLoss(EQUAL, class_weight="sqrt", **BATCH), CE),
    "equal counts: effective = CE": (L.CrossEntropyLoss(EQUAL, class_weight="effective", **BATCH), CE),
}


@pytest.mark.parametrize("kind", ["index", "soft"])
@pytest.mark.parametrize("claim", TREE)
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
