"""Which calibration: one by its name, or the best by cross-validation among those that the rows allow."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longtail.facts.messages import quoted
from longtail.posthoc.calibration.isotonic import IsotonicCalibration, with_curve
from longtail.posthoc.calibration.rows import Rows, checked_rows, weighed
from longtail.posthoc.calibration.scaling import Calibration, TemperatureScaling
from longtail.posthoc.calibration.vector import FEW, VectorScaling

AUTO = "auto"
KINDS: dict[str, type[Calibration]] = {
    "temperature": TemperatureScaling,
    "vector": VectorScaling,
    "isotonic": IsotonicCalibration,
}
FOLDS = 5


class Calibrated(NamedTuple):
    """The result of `fit_calibration`."""

    calibration: Calibration
    """Fitted on all rows."""
    log_loss: dict[str, float]
    """Of "auto": the cross-validated log loss of each that was allowed; empty where there was nothing to compare."""
    words: str
    """What it is, what it was fitted on, and why it was chosen."""


@torch.no_grad()
def fit_calibration(
    kind: str, log_probs: Any, targets: Any, *, num_classes: int, sample_weight: Any = None, prior: Any = None
) -> Calibrated:
    """Fit the calibration of this name, or choose one.

    "auto" takes the smallest log loss in five folds, stratified by class, among the temperature (always), the vector
    (two classes have 50 rows) and the isotonic calibration (in four fifths of the rows a class has enough for a curve).
    Another than the temperature must be better by more than the standard error of the difference; else it is a tie,
    and the temperature is taken. Equal rows are in one fold, so that a row of weight k counts as k rows here, too.

    Args:
        kind: "temperature", "vector", "isotonic" or "auto".
        log_probs, targets, sample_weight, prior: see `TemperatureScaling.fit`.
        num_classes: C.

    Raises:
        ValueError: another name, or rows as in `TemperatureScaling.fit`.
    """
    check_kind(kind)
    rows = checked_rows(log_probs, targets, num_classes, sample_weight, prior)
    means, chosen = compared(rows) if kind == AUTO else ({}, kind)
    one = KINDS[chosen](num_classes).fit_rows(rows)
    return Calibrated(one, means, f"{one.words}{_why(chosen, means) if kind == AUTO else ''}")


@torch.no_grad()
def cross_calibrated(
    name: str, log_probs: Any, targets: Any, *, num_classes: int, sample_weight: Any = None, prior: Any = None
) -> Tensor:
    """Return log-probabilities (N, C) float64 of the rows of a fit, each calibrated by the rows of the other folds.

    They are like those of new rows, which probabilities that the calibration was fitted on are not: what is chosen and
    judged on these, as a `Decision`, looks better than it is. Equal rows are in one fold.

    Args:
        name: of the calibration, "auto" left out.
        log_probs, targets, sample_weight, prior, num_classes: see `fit_calibration`.

    Raises:
        ValueError: see `fit_calibration`; a row without weight.
    """
    check_kind(name, auto=False)
    rows = checked_rows(log_probs, targets, num_classes, sample_weight, prior)
    if len(rows.targets) < len(log_probs):
        raise ValueError("sample_weight must be > 0 where rows are held out, got 0; leave such rows out")
    distinct, place = _merged(rows)
    return _out_of_fold(name, distinct)[place]


def check_kind(kind: str, *, auto: bool = True) -> None:
    """Raise ValueError where no calibration has this name, or it is "auto" and there is no choice."""
    known = (*KINDS, AUTO) if auto else tuple(KINDS)
    if kind not in known:
        way = f"{AUTO} chooses by the rows that there are" if auto else "fit_calibration chooses"
        raise ValueError(f"calibrate (--calibrate) must be one of {', '.join(known)}, got {quoted(kind)}; {way}")


def allowed(rows: Rows) -> list[str]:
    """Return the names of the calibrations that "auto" compares, by the numbers of rows."""
    names = ["temperature"]
    if int((rows.counts >= FEW).sum()) >= 2:
        names.append("vector")
    if bool(with_curve(rows.counts * (FOLDS - 1) / FOLDS).any()):
        names.append("isotonic")
    return names


def compared(rows: Rows) -> tuple[dict[str, float], str]:
    """Return the cross-validated log loss of every calibration that is allowed, and the one to take."""
    names = allowed(rows)
    if len(names) == 1:
        return {}, names[0]
    distinct, _ = _merged(rows)
    own = distinct.targets[:, None]
    losses = {name: -_out_of_fold(name, distinct).gather(1, own)[:, 0] for name in names}
    means = {name: float((distinct.weight * loss).sum()) for name, loss in losses.items()}
    base, chosen = names[0], min(means, key=lambda name: means[name])
    gain = losses[base] - losses[chosen]
    apart = (gain - (distinct.weight * gain).sum()).square()
    error = math.sqrt(float((distinct.weight.square() / distinct.copies * apart).sum()))
    return means, chosen if means[base] - means[chosen] > error else base


def _out_of_fold(name: str, rows: Rows) -> Tensor:
    """Return every row's log-probabilities (N, C) by a calibration that was fitted on the other folds."""
    fold, found = _folds(rows.targets), rows.log_probs.clone()
    for k in range(FOLDS):
        held = fold == k
        if not bool(held.any()) or bool(held.all()):
            continue
        one = KINDS[name](len(rows.counts)).fit_rows(rows.subset(~held))
        found[held] = one(rows.log_probs[held])
    return found


def _folds(targets: Tensor) -> Tensor:
    """Return a fold per row (N,): those of a class in turn, each class from another fold on."""
    fold = torch.empty_like(targets)
    for c in range(int(targets.max()) + 1):
        own = targets == c
        fold[own] = (torch.arange(int(own.sum())) + c) % FOLDS
    return fold


def _merged(rows: Rows) -> tuple[Rows, Tensor]:
    """Return the distinct rows in order of their values, the copies of equal ones added, and which each row is (N,)."""
    table = np.column_stack([rows.log_probs.numpy(), rows.targets.numpy()])
    _, first, place = np.unique(table, axis=0, return_index=True, return_inverse=True)
    at, of_each = torch.from_numpy(first), torch.from_numpy(place.reshape(-1))
    copies = torch.zeros(len(at), dtype=torch.float64).index_add(0, of_each, rows.copies)
    ratio = (rows.weight / rows.copies)[at]
    return weighed(rows.log_probs[at], rows.targets[at], copies, ratio, len(rows.counts)), of_each


def _why(chosen: str, means: dict[str, float]) -> str:
    if not means:
        return "; chosen because there are too few rows for another"
    others = ", ".join(f"{name} {value:.4f}" for name, value in means.items() if name != chosen)
    tie = chosen == "temperature" and min(means.values()) < means[chosen]
    reason = "no other is better by more than a standard error" if tie else "the smallest"
    return f"; chosen by cross-validated log loss, {means[chosen]:.4f}, {reason} ({others})"
