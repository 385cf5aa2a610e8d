"""Bad input: one line that names the argument, the rule, the value and the way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from loss_cases import COUNTS, batch

from longtail import checks, losses
from longtail.schedules import constant

L = losses
BUILD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "negative margin": (
        lambda: L.LDAMLoss(COUNTS, max_margin=-0.5),
        ValueError,
        "max_margin must be >= 0, got -0.5; choose a value in that range",
    ),
    "scale zero": (lambda: L.LDAMLoss(COUNTS, scale=0), ValueError, "scale must be > 0, got 0; choose"),
    "negative gamma": (lambda: L.FocalLoss(gamma=-1.0), ValueError, "gamma must be >= 0, got -1.0; choose"),
    "NaN": (lambda: L.LogitAdjustedLoss(COUNTS, tau=float("nan")), ValueError, "tau must be >= 0, got nan"),
    "a word for a number": (
        lambda: L.LogitAdjustedLoss(COUNTS, tau="1"),
        TypeError,
        "tau must be a number >= 0, got '1'; pass a plain number or a schedule",
    ),
    "a schedule out of range": (
        lambda: L.LogitAdjustedLoss(COUNTS, tau=constant(-1.0)),
        ValueError,
        "tau must be >= 0, got -1.0",
    ),
    "a schedule of a knob that cannot move": (
        lambda: L.CrossEntropyLoss(label_smoothing=constant(0.1)),
        TypeError,
        "label_smoothing cannot be a schedule, got constant(0.1); pass a plain value",
    ),
    "beta": (lambda: L.ClassBalancedLoss(COUNTS, beta=1.0), ValueError, "beta must be in [0, 1), got 1.0"),
    "base": (
        lambda: L.ClassBalancedLoss(COUNTS, base="relu"),
        ValueError,
        'base must be "softmax" or "sigmoid" or "focal", got \'relu\'; choose one of these',
    ),
    "a second class weight": (
        lambda: L.ClassBalancedLoss(COUNTS, class_weight="inverse"),
        ValueError,
        "class_weight of a ClassBalancedLoss is its own, got 'inverse'; choose beta",
    ),
    "reweight": (lambda: L.CrossEntropyLoss(reweight=2), ValueError, "reweight must be in [0, 1], got 2"),
    "reduction": (
        lambda: L.CrossEntropyLoss(reduction="avg"),
        ValueError,
        'reduction must be "mean" or "sum" or "none", got \'avg\'; choose one of these',
    ),
    "normalize": (
        lambda: L.CrossEntropyLoss(normalize=0.0),
        ValueError,
        'normalize must be "weights", "batch" or a number > 0, got 0.0; "batch" divides by',
    ),
    "an unknown argument": (
        lambda: L.LDAMLoss(COUNTS, margin=0.5),
        TypeError,
        "LDAMLoss has no argument 'margin'; did you mean max_margin?",
    ),
    "no counts": (
        lambda: L.LDAMLoss(),
        ValueError,
        "LDAMLoss needs class_counts, got None; pass longtail.class_counts(labels)",
    ),
    "a word without counts": (
        lambda: L.CrossEntropyLoss(class_weight="effective"),
        ValueError,
        'class_weight="effective" needs class_counts, got None; pass longtail.class_counts(labels)',
    ),
    "names of other classes": (
        lambda: L.CrossEntropyLoss(COUNTS, classes=["a", "b"]),
        ValueError,
        "classes must name all 5 classes, got 2 names; see class_counts",
    ),
    "alpha": (lambda: L.FocalLoss(alpha=-1.0), ValueError, "alpha must be one number >= 0 or one per class"),
    "alpha of other classes": (
        lambda: L.FocalLoss(COUNTS, alpha=[0.5, 0.5]),
        ValueError,
        "alpha must have 5 entries, one per class, got 2",
    ),
    "weights of other classes": (
        lambda: L.CrossEntropyLoss(COUNTS, class_weight=torch.ones(3)),
        ValueError,
        "class_weight must",
    ),
    "negative counts": (lambda: L.LDAMLoss([3, -1]), ValueError, "class_counts must be"),
}


@pytest.mark.parametrize("claim", BUILD)
def test_a_bad_argument_is_named(claim: str) -> None:
    build, error, message = BUILD[claim]
    with pytest.raises(error, match="^" + re.escape(message)) as caught:
        build()
    assert "\n" not in str(caught.value)


Z, Y = batch(4)
Q = torch.softmax(Z, 1)
DENSE = torch.zeros(4, 5, 2, 3)
CALL: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = {
    "integer logits": ((Z.long(), Y), {}, TypeError, "logits must be floating point, got torch.int64; pass"),
    "one row": ((Z[0], Y[0]), {}, ValueError, "logits must have shape (N, C) or (N, C, d1..dk), got (5,); add"),
    "other classes": (
        (Z[:, :3], Y),
        {},
        ValueError,
        "logits must have 5 classes in dimension 1, as the loss was built for, got shape (4, 3); build",
    ),
    "multi-hot": (
        (Z, torch.ones(4, 5, dtype=torch.long)),
        {},
        ValueError,
        "targets as integers must be class indices (4,), got shape (4, 5), which is multi-hot; pass",
    ),
    "float labels": (
        (Z, Y.float()),
        {},
        ValueError,
        "targets as probabilities must have the logits' shape (4, 5), got (4,); class indices are integers: use",
    ),
    "bool": ((Z, Q > 0.5), {}, TypeError, "targets must be class indices or probabilities, got torch.bool; use"),
    "too many": (
        (Z, torch.zeros(3, dtype=torch.long)),
        {},
        ValueError,
        "targets as class indices must have shape (4,), got (3,); pass one class index per example",
    ),
    "dense": (
        (DENSE, torch.zeros(4, 2, dtype=torch.long)),
        {},
        ValueError,
        "targets as class indices must have shape (4, 2, 3), got (4, 2)",
    ),
    "sample weights": (
        (DENSE, torch.zeros(4, 2, 3, dtype=torch.long)),
        {"sample_weight": torch.ones(2, 3)},
        ValueError,
        "sample_weight must have shape (4,) or (4, 2, 3), got (2, 3); pass one weight per example",
    ),
    "an epoch for progress": (
        (Z, Y),
        {"progress": 3},
        ValueError,
        "progress must be in [0, 1], got 3; pass epoch / epochs, not the epoch",
    ),
    "progress per example": (
        (Z, Y),
        {"progress": torch.zeros(4)},
        ValueError,
        "progress must be a float or a 0-dim tensor, got shape (4,)",
    ),
    "normalize": ((Z, Y), {"normalize": "mean"}, ValueError, 'normalize must be "weights", "batch" or a number'),
}


@pytest.mark.parametrize("claim", CALL)
@pytest.mark.parametrize("loss", [L.CrossEntropyLoss, L.LDAMLoss], ids=lambda loss: loss.__name__)
def test_a_bad_call_is_named(loss: type[L.Loss], claim: str) -> None:
    arguments, keywords, error, message = CALL[claim]
    with pytest.raises(error, match="^" + re.escape(message)) as caught:
        loss(COUNTS)(*arguments, **keywords)
    assert "\n" not in str(caught.value)


VALUES = {
    "a class that is not there": ({"targets": torch.tensor([0, 1, 7, 2])}, "targets must be in [0, 5), got 7"),
    "rows that do not sum to one": ({"targets": 2 * Q}, "targets as probabilities must sum to 1 in every row"),
    "NaN logits": ({"logits": Z * torch.nan}, "logits must be finite, got NaN or infinity in row 0"),
    "a negative weight": ({"sample_weight": torch.tensor([1, -1, 1, 1])}, "sample_weight must be >= 0, got -1"),
    "a NaN weight": ({"sample_weight": torch.full((4,), torch.nan)}, "sample_weight must be finite"),
}


@pytest.mark.parametrize("claim", VALUES)
def test_values_are_looked_at_in_strict_mode_only(claim: str) -> None:
    changed, message = VALUES[claim]
    call = {"logits": Z, "targets": Y, **changed}
    loss = L.LDAMLoss(COUNTS)
    if claim != "a class that is not there":  # which torch refuses anyway
        loss(**call)
    with checks.strict(), pytest.raises(ValueError, match="^" + re.escape(message)):
        loss(**call)
