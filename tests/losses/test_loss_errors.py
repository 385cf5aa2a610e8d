"""Bad input: one line that names the argument, the rule, the value and the way out, to the letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.losses.loss_cases import CASES, COUNTS, ROWS, C, batch

from longtail import losses as L
from longtail.facts import checks
from longtail.facts.schedules import constant, linear, switch

RANGE = "; choose a value in that range"
NUMBER = "; pass a plain number or a schedule"
COUNT = "; use longtail.class_counts(labels)"
ORDER = "; order them as class_counts is"
NAN, INF = float("nan"), float("inf")
NAMES = ["a", "b", "c", "d", "e"]
BUILD: dict[str, tuple[Callable[[], Any], str]] = {
    # knobs
    "margin": (lambda: L.LDAMLoss(COUNTS, max_margin=-0.5), f"ValueError: max_margin must be >= 0, got -0.5{RANGE}"),
    "scale": (lambda: L.UniformMarginLoss(scale=0), f"ValueError: scale must be > 0, got 0{RANGE}"),
    "hinge scale": (lambda: L.LDAMHingeLoss(COUNTS, scale=-1), f"ValueError: scale must be > 0, got -1{RANGE}"),
    "LDAM exponent": (lambda: L.LDAMLoss(COUNTS, exponent=-1), f"ValueError: exponent must be >= 0, got -1{RANGE}"),
    "a test prior below 0": (
        lambda: L.LDAMLoss(COUNTS, test_prior=[1, 1, 1, 1, -1]),
        f"ValueError: test_prior must be >= 0, got -1.0{RANGE}",
    ),
    "a test prior of other classes": (
        lambda: L.LDAMHingeLoss(COUNTS, test_prior=[0.5, 0.5]),
        f"ValueError: test_prior must be 5 numbers, one per class, got shape (2,){ORDER}",
    ),
    "a test prior of zeros": (
        lambda: L.LDAMLoss([3, 2], test_prior=[0, 0]),
        "ValueError: test_prior must be > 0 for a class with training examples, got [0.0, 0.0]; pass the shares of the "
        "classes in the test data, or leave it out",
    ),
    "binary VS of five classes": (
        lambda: L.BinaryVSLoss(COUNTS),
        "ValueError: class_counts of a BinaryVSLoss must be of two classes, got 5; use VSLoss for more",
    ),
    "focal gamma": (lambda: L.FocalLoss(gamma=-1.0), f"ValueError: gamma must be >= 0, got -1.0{RANGE}"),
    "VS gamma": (lambda: L.VSLoss(COUNTS, gamma=-0.1), f"ValueError: gamma must be >= 0, got -0.1{RANGE}"),
    "VS tau": (lambda: L.VSLoss(COUNTS, tau=INF), f"ValueError: tau must be >= 0 and finite, got inf{RANGE}"),
    "CDT gamma": (lambda: L.CDTLoss(COUNTS, gamma=INF), f"ValueError: gamma must be >= 0 and finite, got inf{RANGE}"),
    "LA tau": (lambda: L.LogitAdjustedLoss(COUNTS, tau=-1.0), f"ValueError: tau must be >= 0, got -1.0{RANGE}"),
    "NaN": (lambda: L.LogitAdjustedLoss(COUNTS, tau=NAN), f"ValueError: tau must be >= 0, got nan{RANGE}"),
    "a word": (lambda: L.CDTLoss(COUNTS, gamma="1"), f"TypeError: gamma must be a number >= 0, got '1'{NUMBER}"),
    "uniform margin": (
        lambda: L.UniformMarginLoss(margin=-0.5),
        f"ValueError: margin must be >= 0, got -0.5{RANGE}",
    ),
    "hinge margin": (
        lambda: L.LDAMHingeLoss(COUNTS, max_margin=-0.5),
        f"ValueError: max_margin must be >= 0, got -0.5{RANGE}",
    ),
    "MM delta": (
        lambda: L.MaximumMarginLoss(delta_minus=-0.5),
        f"ValueError: delta_minus must be >= 0, got -0.5{RANGE}",
    ),
    "VS tau < 0": (lambda: L.VSLoss(COUNTS, tau=-1.0), f"ValueError: tau must be >= 0, got -1.0{RANGE}"),
    "MM beta": (lambda: L.MaximumMarginLoss(beta=-1), f"ValueError: beta must be >= 0, got -1{RANGE}"),
    "CB beta": (lambda: L.ClassBalancedLoss(COUNTS, beta=1.0), f"ValueError: beta must be in [0, 1), got 1.0{RANGE}"),
    "base": (
        lambda: L.ClassBalancedLoss(COUNTS, base="relu"),
        'ValueError: base must be "softmax" or "sigmoid" or "focal", got \'relu\'; choose one of these',
    ),
    "a schedule out of range": (
        lambda: L.LogitAdjustedLoss(COUNTS, tau=linear(1.0, -1.0)),
        f"ValueError: tau must be >= 0, got -1.0{RANGE}",
    ),
    "a schedule of a knob that cannot move": (
        lambda: L.CrossEntropyLoss(label_smoothing=constant(0.1)),
        "TypeError: label_smoothing cannot be a schedule, got constant(0.1); pass a plain value",
    ),
    "reweight": (lambda: L.CrossEntropyLoss(reweight=2), f"ValueError: reweight must be in [0, 1], got 2{RANGE}"),
    "smoothing": (
        lambda: L.VSLoss(COUNTS, label_smoothing=1.5),
        f"ValueError: label_smoothing must be in [0, 1], got 1.5{RANGE}",
    ),
    "reduction": (
        lambda: L.CrossEntropyLoss(reduction="avg"),
        'ValueError: reduction must be "mean" or "sum" or "none", got \'avg\'; choose one of these',
    ),
    "normalize": (
        lambda: L.CrossEntropyLoss(normalize=0.0),
        'ValueError: normalize must be "weights", "batch" or a number > 0, got 0.0; '
        '"batch" divides by the number of positions that count',
    ),
    "an unknown argument": (
        lambda: L.LDAMLoss(COUNTS, margin=0.5),
        "TypeError: LDAMLoss has no argument 'margin'; did you mean max_margin?",
    ),
    # counts
    "no counts": (
        lambda: L.LDAMLoss(),
        "ValueError: LDAMLoss needs class_counts, got None; pass longtail.class_counts(labels)",
    ),
    "no counts for MM-LDAM": (
        lambda: L.MaximumMarginLoss(ldam=True),
        "ValueError: MaximumMarginLoss needs class_counts, got None; pass longtail.class_counts(labels)",
    ),
    "no counts for pi": (
        lambda: L.PairwiseLoss(delta=[1.0, 2.0]),
        "ValueError: PairwiseLoss needs class_counts, got None; pass longtail.class_counts(labels)",
    ),
    "negative counts": (
        lambda: L.VSLoss([3, -1]),
        f"ValueError: class_counts must be finite and >= 0, got -1{COUNT}",
    ),
    "NaN counts": (
        lambda: L.VSLoss([3, NAN]),
        f"ValueError: class_counts must be finite and >= 0, got nan{COUNT}",
    ),
    "a table of counts": (
        lambda: L.VSLoss([[3, 1]]),
        f"ValueError: class_counts must be one-dimensional with one count per class, got shape (1, 2){COUNT}",
    ),
    "an empty class": (
        lambda: L.CDTLoss([3, 0, 0]),
        "ValueError: class_counts must be > 0 for every class, got 0 for class 1, 2; "
        'drop the class or pass zero_count="mask" or a pseudo-count',
    ),
    "nothing counted": (
        lambda: L.CDTLoss([0, 0]),
        f"ValueError: class_counts must count at least one example, got only zeros{COUNT}",
    ),
    "a zero for zero counts": (
        lambda: L.CDTLoss([3, 0], zero_count=0),
        'ValueError: zero_count must be "error", "mask" or a number > 0, got 0; try "mask" or 1.0',
    ),
    "names of other classes": (
        lambda: L.CrossEntropyLoss(COUNTS, classes=["a", "b"]),
        "ValueError: classes must name all 5 classes, got 2 names; see class_counts",
    ),
    # class weights, alpha, delta
    "a word without counts": (
        lambda: L.CrossEntropyLoss(class_weight="effective"),
        'ValueError: class_weight="effective" needs class_counts, got None; pass longtail.class_counts(labels)',
    ),
    "an unknown word": (
        lambda: L.CrossEntropyLoss(COUNTS, class_weight="inv"),
        'ValueError: class_weight must be "inverse" or "sqrt" or "effective", got \'inv\'; choose one of these',
    ),
    "a second class weight": (
        lambda: L.ClassBalancedLoss(COUNTS, class_weight="inverse"),
        "ValueError: class_weight of a ClassBalancedLoss is its own, got 'inverse'; choose beta, or use "
        'CrossEntropyLoss(class_weight=..., normalize="batch")',
    ),
    "weights of other classes": (
        lambda: L.CrossEntropyLoss(COUNTS, class_weight=torch.ones(3)),
        "ValueError: class_weight must have one weight per class, shape (5,), got (3,); "
        "order them as class_counts is ordered",
    ),
    "negative weights": (
        lambda: L.CrossEntropyLoss(class_weight=[1.0, -1.0]),
        "ValueError: class_weight must be finite and >= 0, got [1.0, -1.0]; correct these weights",
    ),
    "NaN weights": (
        lambda: L.CrossEntropyLoss(class_weight=[1.0, NAN]),
        "ValueError: class_weight must be finite and >= 0, got [1.0, nan]; correct these weights",
    ),
    "weights by name without names": (
        lambda: L.CrossEntropyLoss(COUNTS, class_weight={"a": 1.0}),
        "ValueError: class_weight by class name needs the names, got {'a': 1.0} without them; "
        "pass classes=[...] or build the loss with from_labels",
    ),
    "weights of an unknown name": (
        lambda: L.CrossEntropyLoss(COUNTS, class_weight={"z": 1.0}, classes=NAMES),
        "ValueError: class_weight must name known classes, got 'z'; known are a, b, c, d, e",
    ),
    "focal alpha": (lambda: L.FocalLoss(alpha=-1.0), f"ValueError: alpha must be >= 0, got -1.0{RANGE}"),
    "a word for alpha": (
        lambda: L.FocalLoss(alpha="balanced"),
        "TypeError: alpha must be one number or one number per class, got 'balanced'; pass a list or a tensor",
    ),
    "alpha of other classes": (
        lambda: L.FocalLoss(COUNTS, alpha=[0.5, 0.5]),
        f"ValueError: alpha must be one number or 5 numbers, one per class, got shape (2,){ORDER}",
    ),
    "pairwise alpha": (lambda: L.PairwiseLoss(COUNTS, alpha=-1), f"ValueError: alpha must be >= 0, got -1.0{RANGE}"),
    "pairwise margin": (
        lambda: L.PairwiseLoss(COUNTS, margin=NAN),
        f"ValueError: margin must be finite, got nan{RANGE}",
    ),
    "a word for delta": (
        lambda: L.PairwiseLoss(COUNTS, delta="pi"),
        'ValueError: delta must be "prior" or "ones", got \'pi\'; choose one of these',
    ),
    "a delta of zero": (
        lambda: L.PairwiseLoss(COUNTS, delta=[1, 0, 1, 1, 1]),
        f"ValueError: delta must be > 0, got 0.0{RANGE}",
    ),
    "a negative delta": (
        lambda: L.PairwiseLoss(COUNTS, delta=torch.tensor([1.0, 1.0, -2.0, 1.0, 1.0])),
        f"ValueError: delta must be > 0, got -2.0{RANGE}",
    ),
    "a delta of zero for an empty class": (
        lambda: L.PairwiseLoss([3, 0, 2], delta=[1, 0, 1], zero_count="mask"),
        f"ValueError: delta must be > 0, got 0.0{RANGE}",
    ),
    "an infinite delta": (
        lambda: L.PairwiseLoss(COUNTS, delta=[1, INF, 1, 1, 1]),
        f"ValueError: delta must be > 0 and finite, got inf{RANGE}",
    ),
    "delta = pi where a class is empty": (
        lambda: L.PairwiseLoss([3, 0, 2]),
        "ValueError: class_counts must be > 0 for every class, got 0 for class 1; "
        'drop the class or pass zero_count="mask" or a pseudo-count',
    ),
    "one delta": (
        lambda: L.PairwiseLoss(delta=torch.tensor(2.0), alpha=1.0),
        f"ValueError: delta must be one number per class, got shape (){ORDER}",
    ),
    "delta of other classes": (
        lambda: L.PairwiseLoss(COUNTS, delta=[1, 2]),
        f"ValueError: delta must be 5 numbers, one per class, got shape (2,){ORDER}",
    ),
}


@cases("claim", BUILD)
def test_a_bad_argument_is_named(claim: str) -> None:
    build, message = BUILD[claim]
    assert said(build) == message


def said(call: Callable[[], Any]) -> str:
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert "\n" not in str(caught.value)
    return f"{caught.type.__name__}: {caught.value}"


def test_counts_may_be_fractions() -> None:
    """Estimated and surrogate counts are no whole numbers."""
    z, y = batch()
    tenth = [n / 10 for n in COUNTS]
    for loss in (L.LogitAdjustedLoss, L.VSLoss, L.CDTLoss, L.PairwiseLoss, L.LDAMLoss):
        torch.testing.assert_close(loss(tenth)(z, y), loss(COUNTS)(z, y))


Z, Y = batch(4)
Q = torch.softmax(Z, 1)
DENSE, DENSE_Y = torch.zeros(4, C, 2, 3), torch.zeros(4, 2, 3, dtype=torch.long)
CALL: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "integer logits": (
        (Z.long(), Y),
        {},
        "TypeError: logits must be floating point, got torch.int64; pass the network's raw outputs",
    ),
    "an array": ((Z.numpy(), Y), {}, "TypeError: logits must be a tensor, got ndarray; use torch.as_tensor(logits)"),
    "a list": ((Z, Y.tolist()), {}, "TypeError: targets must be a tensor, got list; use torch.as_tensor(targets)"),
    "a list of weights": (
        (Z, Y),
        {"sample_weight": [1.0] * 4},
        "TypeError: sample_weight must be a tensor, got list; use torch.as_tensor(sample_weight)",
    ),
    "one row": (
        (Z[0], Y[0]),
        {},
        "ValueError: logits must have shape (N, C) or (N, C, d1..dk), got (5,); "
        "add a batch dimension with logits[None]",
    ),
    "multi-hot": (
        (Z, torch.ones(4, C, dtype=torch.long)),
        {},
        "ValueError: targets as integers must be class indices (4,), got shape (4, 5), which is multi-hot; "
        "pass targets.argmax(1), or probabilities whose rows sum to 1",
    ),
    "float labels": (
        (Z, Y.float()),
        {},
        "ValueError: targets as probabilities must have the logits' shape (4, 5), got (4,); "
        "class indices are integers: use targets.long()",
    ),
    "bool": (
        (Z, Q > 0.5),
        {},
        "TypeError: targets must be class indices or probabilities, got torch.bool; use targets.long()",
    ),
    "too few": (
        (Z, Y[:3]),
        {},
        "ValueError: targets as class indices must have shape (4,), got (3,); pass one class index per example",
    ),
    "column": (
        (Z, Y[:, None]),
        {},
        "ValueError: targets as class indices must have shape (4,), got (4, 1); use targets.squeeze(-1)",
    ),
    "dense": (
        (DENSE, DENSE_Y[..., 0]),
        {},
        "ValueError: targets as class indices must have shape (4, 2, 3), got (4, 2); pass one class index per example",
    ),
    "sample weights": (
        (DENSE, DENSE_Y),
        {"sample_weight": torch.ones(2, 3)},
        "ValueError: sample_weight must have shape (4,) or (4, 2, 3), got (2, 3); pass one weight per example",
    ),
    "an epoch for progress": (
        (Z, Y),
        {"progress": 3},
        "ValueError: progress must be in [0, 1], got 3; pass epoch / epochs, not the epoch",
    ),
    "negative progress": (
        (Z, Y),
        {"progress": -0.5},
        "ValueError: progress must be in [0, 1], got -0.5; pass epoch / epochs, not the epoch",
    ),
    "progress per example": (
        (Z, Y),
        {"progress": torch.zeros(4)},
        "ValueError: progress must be a float or a 0-dim tensor, got shape (4,); it is one number for the whole batch",
    ),
    "normalize": (
        (Z, Y),
        {"normalize": "mean"},
        'ValueError: normalize must be "weights", "batch" or a number > 0, got \'mean\'; '
        '"batch" divides by the number of positions that count',
    ),
}


@cases("claim", CALL)
@cases("row", ROWS)
def test_a_bad_call_is_named_by_every_loss(row: str, claim: str) -> None:
    arguments, keywords, message = CALL[claim]
    loss = CASES[ROWS[row][0]].build()
    assert said(lambda: loss(*arguments, **keywords)) == message


@cases("row", ROWS)
def test_logits_of_other_classes_are_named_by_every_loss(row: str) -> None:
    loss = CASES[ROWS[row][0]].build()
    assert said(lambda: loss(Z[:, :3], Y)) == (
        "ValueError: logits must have 5 classes in dimension 1, as the loss was built for, got shape (4, 3); "
        "build the loss with the counts of these classes, longtail.class_counts(labels)"
    )


@cases("row", ROWS)
def test_a_missing_progress_is_named_by_every_loss(row: str) -> None:
    case = CASES[ROWS[row][0]]
    weight = {} if case.own_weight else {"class_weight": "inverse"}
    loss = case.build(reweight=switch(0.8, 0.0, 1.0), **weight)
    assert said(lambda: loss(Z, Y)) == (
        "TypeError: reweight is the schedule switch(0.8, 0.0, 1.0) and needs progress; pass progress=epoch / epochs"
    )


VALUES = {
    "a class that is not there": (
        {"targets": torch.tensor([0, 1, 7, 2])},
        "ValueError: targets must be in [0, 5), got 7; correct the label, or pass num_classes=8 where the class exists",
    ),
    "rows that do not sum to one": (
        {"targets": 2 * Q},
        "ValueError: targets as probabilities must sum to 1 in every row, got a sum of 2; multi-hot labels are not a "
        "distribution over classes: normalise the rows or use a multi-label loss",
    ),
    "negative probabilities": (
        {"targets": -Q},
        "ValueError: targets as probabilities must be finite and >= 0; normalise the rows",
    ),
    "NaN logits": (
        {"logits": Z * torch.nan},
        "ValueError: logits must be finite, got NaN or infinity in row 0 (20 values in all); drop or impute them first",
    ),
    "a negative weight": (
        {"sample_weight": torch.tensor([1, -1, 1, 1])},
        "ValueError: sample_weight must be >= 0, got -1.0; drop or correct these rows",
    ),
    "a NaN weight": (
        {"sample_weight": torch.full((4,), torch.nan)},
        "ValueError: sample_weight must be finite, got NaN or infinity in row 0 (4 values in all); "
        "drop or impute them first",
    ),
}


@cases("row", ROWS)
@cases("claim", VALUES)
def test_values_are_looked_at_in_strict_mode_only(claim: str, row: str) -> None:
    changed, message = VALUES[claim]
    call = {"logits": Z, "targets": Y, **changed}
    loss = CASES[ROWS[row][0]].build()
    if claim != "a class that is not there":  # which torch refuses anyway
        loss(**call)
    with checks.strict():
        assert said(lambda: loss(**call)) == message
