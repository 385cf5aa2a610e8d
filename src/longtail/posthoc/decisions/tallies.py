"""The value of an objective from counts per class, as sums over classes: a change of one class is a change of one term.

Counts are sums of weights: `hits` (true positives), `support` (rows of the class), `predicted` (rows decided as it).
Classes are the last axis; leading axes are free.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from longtail.posthoc.decisions.objectives import Objective

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _over(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, 0 where the denominator is 0."""
    zero = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape))
    return np.asarray(np.divide(numerator, denominator, out=zero, where=denominator != 0))


def _f1(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    return _over(2.0 * hits, support + predicted)


def _log_recall(hits: Floats, support: Floats) -> Floats:
    return np.log(np.where(hits > 0, _over(hits, support), 1.0))


TERMS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "accuracy": lambda h, s, p: np.stack([h, s]),
    "balanced_accuracy": lambda h, s, p: np.stack([_over(h, s), (s > 0) * 1.0]),
    "macro_f1": lambda h, s, p: np.stack([_f1(h, s, p), (s + p > 0) * 1.0]),
    "weighted_f1": lambda h, s, p: np.stack([s * _f1(h, s, p), s]),
    "g_mean": lambda h, s, p: np.stack([_log_recall(h, s), (s > 0) * 1.0, ((s > 0) & (h <= 0)) * 1.0]),
    "mcc": lambda h, s, p: np.stack([h, s, s * p, p * p, s * s]),
}
"""Objective -> its terms (T, ..., C) per class; they are summed over the classes."""


def combine(name: str, total: Floats, *, search: bool = False) -> Floats:
    """Return the value of an objective of all classes from its summed terms (T, ...).

    Args:
        name: a key of `TERMS`.
        total: summed over the classes.
        search: g_mean counts the classes without a hit, negatively, where there are any, so that a search sees a way
            from 0 upward.
    """
    if name == "g_mean":
        value = np.exp(_over(total[0], total[1]))
        return np.where(total[2] > 0.5, -total[2] if search else 0.0, value)
    if name == "mcc":
        hits, n, together, predicted, support = total
        below = np.sqrt(np.maximum((n * n - predicted) * (n * n - support), 0.0))
        return _over(hits * n - together, below)
    return _over(total[0], total[1])


def value_of_all(name: str, hits: Floats, support: Floats, predicted: Floats, *, search: bool = False) -> Floats:
    """Return the value of an objective of all classes (but for cost) from counts (..., C)."""
    h, s, p = np.broadcast_arrays(hits, support, predicted)
    return combine(name, TERMS[name](h, s, p).sum(-1), search=search)


def one_class(goal: Objective, hits: Floats, support: Floats, predicted: Floats, rows: Floats) -> Floats:
    """Return what a search for an objective of one class maximises, from the counts (...) of that class.

    fbeta: F_beta = (1 + beta^2) hits / (beta^2 support + predicted). A condition: 1 + what it maximises where it is
    met; where it is not, the distance from it, below 0.

    Args:
        goal: the objective.
        hits, support, predicted: of the positive class.
        rows: all rows.
    """
    if goal.name == "fbeta":
        square = goal.bound**2
        return _over((1 + square) * hits, square * support + predicted)
    recall, precision = _over(hits, support), _over(hits, predicted)
    slack = 1e-12
    if goal.name == "recall":
        return np.where(recall >= goal.bound - slack, 1 + precision, recall - goal.bound)
    if goal.name == "precision":
        return np.where(precision >= goal.bound - slack, 1 + recall, precision - goal.bound)
    most = goal.bound * rows if goal.share else np.full_like(predicted, goal.bound)
    return np.where(predicted <= most * (1 + slack), 1 + recall, -_over(predicted - most, rows))


def measured(name: str, hits: Floats, support: Floats, predicted: Floats, rows: Floats) -> Floats:
    """Return recall, precision or the share of alarms of one class; NaN where undefined."""
    above, below = {"recall": (hits, support), "precision": (hits, predicted), "alarms": (predicted, rows)}[name]
    above, below = np.broadcast_arrays(above, below)
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0))


def weighted_counts(index: Ints, weight: Floats, classes: int) -> Floats:
    """Return the sum of weights per class (C,)."""
    return np.bincount(index, weight, classes).astype(np.float64)


def counts(targets: Ints, decided: Ints, weight: Floats, classes: int) -> tuple[Floats, Floats, Floats]:
    """Return hits, support and predicted (C,)."""
    right = targets == decided
    hits = weighted_counts(targets[right], weight[right], classes)
    return hits, weighted_counts(targets, weight, classes), weighted_counts(decided, weight, classes)


def value(
    goal: Objective,
    targets: Ints,
    decided: Ints,
    weight: Floats,
    classes: int,
    *,
    positive: int | None = None,
    cost: Floats | None = None,
    search: bool = False,
) -> float:
    """Return the value of an objective for decisions; the larger the better, also of cost, which is negative.

    Args:
        goal: the objective.
        targets, decided: (N,) class indices.
        weight: (N,).
        classes: C.
        positive: the class of an objective of one class.
        cost: (C, C), of the objective cost.
        search: see `combine`.
    """
    if goal.name == "cost":
        assert cost is not None
        return -float((cost[targets, decided] * weight).sum() / weight.sum())
    tally = counts(targets, decided, weight, classes)
    if goal.of_all:
        return float(value_of_all(goal.name, *tally, search=search))
    assert positive is not None
    hits, support, predicted = (part[positive] for part in tally)
    return float(one_class(goal, hits, support, predicted, weight.sum()))
