"""A loss of one's own is a function and its knobs; weights, targets, masks and reduction come with it."""

from __future__ import annotations

import inspect
from typing import Any, Unpack

import pytest
import torch
from tests.losses.loss_cases import COUNTS, batch, soft
from torch import Tensor

from longtail import functional
from longtail.facts import knobs
from longtail.facts.knobs import NonNegative, Range
from longtail.facts.schedules import linear
from longtail.losses import Loss
from longtail.losses.signature import Common


class CDT(Loss):
    """Class-dependent temperatures: cross-entropy of z_j (n_j / n_max)^gamma."""

    def __init__(self, class_counts: Any = None, *, gamma: NonNegative = 0.2, **common: Unpack[Common]) -> None:
        super().__init__(class_counts, {"gamma": gamma}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        counts = self.counted(counts)
        return {"share": counts / counts.max()}

    def losses(self, logits: Tensor, targets: Tensor, progress: Any, features: Any) -> Tensor:
        temperature = self.constant("share", logits).pow(self.knob("gamma", progress))
        return functional.cross_entropy(logits * functional.across(temperature, logits), targets)


class Confidence(Loss):
    """A loss that reads features."""

    needs = frozenset({"features"})

    def losses(self, logits: Tensor, targets: Tensor, progress: Any, features: Any) -> Tensor:
        return functional.cross_entropy(logits, targets) * features.abs().sum(1)


def test_its_signature_shows_its_knobs_and_the_common_ones() -> None:
    names = list(inspect.signature(CDT).parameters)
    assert names[:3] == ["class_counts", "gamma", "class_weight"]
    declared = knobs.declared(CDT)
    assert declared["gamma"].rule == knobs.NonNegative.__metadata__[0]
    assert declared["gamma"].schedulable
    assert isinstance(declared["reweight"].rule, Range)
    assert not declared["label_smoothing"].schedulable


def test_it_takes_everything_that_a_loss_takes() -> None:
    z, y = batch()
    y[0] = -100
    loss = CDT(COUNTS, gamma=linear(0.0, 0.4), class_weight="sqrt", label_smoothing=0.1)
    factor = (torch.tensor(COUNTS, dtype=torch.float64) / max(COUNTS)) ** 0.2
    plain = CDT(COUNTS, gamma=0.0, class_weight="sqrt", label_smoothing=0.1)
    torch.testing.assert_close(loss(z, y, progress=0.5), plain(z * factor, y))
    assert torch.isfinite(loss(z, soft(), progress=0.1))
    assert repr(CDT(COUNTS)) == "CDT(5 classes, gamma=0.2)"


def test_features_are_asked_for_by_name() -> None:
    z, y = batch(4)
    loss = Confidence()
    assert loss(z, y, features=torch.ones(4, 2)).item() == pytest.approx(
        2 * functional.cross_entropy(z, y).mean().item()
    )
    with pytest.raises(TypeError, match=r"^Confidence reads features, got None; pass the input of the head, \(N, D\)"):
        loss(z, y)


def test_a_loss_without_its_formula_cannot_be_built() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Loss()
