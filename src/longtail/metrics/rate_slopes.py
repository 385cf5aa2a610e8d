"""How much a unit of weight of one row moves each metric of decisions: derivatives of `rates` and of correlation.

A metric of decisions is a function f of three weights per class: right (h), of the class (s), decided for it (p). A
row of class t decided as d adds to s_t, to p_d and, where t = d, to h_t; so the derivative with respect to its weight
is

    f_s[t] + f_p[d] + [t = d] f_h[t]

Where f has no derivative (the geometric mean at 0, MCC at 0/0) it is taken as 0. Of classes that are left out of a
mean (without rows; neither present nor predicted) all are 0.
"""

from __future__ import annotations

import numpy as np

from longtail.metrics.correlation import matthews_slopes
from longtail.metrics.rates import Floats, f1, g_mean, ratio, weighted_f1
from longtail.metrics.rows import Counts, Labels

__all__ = ["SLOPES", "Slopes", "of_rows"]

Slopes = tuple[Floats, Floats, Floats]
"""Derivatives with respect to hits, support and predicted, each (C,)."""


def of_rows(slopes: Slopes, targets: Labels, decided: Labels) -> Floats:
    """Return the derivative with respect to the weight of each row, (N,), from its class and its decision."""
    by_hits, by_support, by_predicted = slopes
    return np.asarray(by_support[targets] + by_predicted[decided] + (targets == decided) * by_hits[targets])


def _accuracy(n: Counts) -> Slopes:
    total, size = float(n.support.sum()), len(n.hits)
    return np.full(size, 1.0 / total), np.full(size, -float(n.hits.sum()) / total**2), np.zeros(size)


def recall(n: Counts) -> Slopes:
    """Of every class's recall, where it is defined; 0 elsewhere."""
    each = np.nan_to_num(ratio(np.ones_like(n.hits), n.support))
    return each, -each * np.nan_to_num(ratio(n.hits, n.support)), np.zeros_like(each)


def precision(n: Counts) -> Slopes:
    """Of every class's precision."""
    each = np.nan_to_num(ratio(np.ones_like(n.hits), n.predicted))
    return each, np.zeros_like(each), -each * np.nan_to_num(ratio(n.hits, n.predicted))


def f1_of_each(n: Counts) -> Slopes:
    """Of every class's F1."""
    each = np.nan_to_num(ratio(np.ones_like(n.hits), n.support + n.predicted))
    down = -each * np.nan_to_num(f1(n.hits, n.support, n.predicted))
    return 2.0 * each, down, down


def _scaled(slopes: Slopes, by: Floats | float) -> Slopes:
    a, b, c = slopes
    return a * by, b * by, c * by


def _balanced_accuracy(n: Counts) -> Slopes:
    return _scaled(recall(n), 1.0 / float((n.support > 0).sum()))


def _known(n: Counts) -> float:
    return float((n.support + n.predicted > 0).sum())


def _macro_f1(n: Counts) -> Slopes:
    return _scaled(f1_of_each(n), 1.0 / _known(n))


def _precision(n: Counts) -> Slopes:
    return _scaled(precision(n), 1.0 / _known(n))


def _weighted_f1(n: Counts) -> Slopes:
    total = float(n.support.sum())
    by_hits, by_support, by_predicted = _scaled(f1_of_each(n), n.support / total)
    each = np.nan_to_num(f1(n.hits, n.support, n.predicted))
    value = float(weighted_f1(n.hits, n.support, n.predicted))
    return by_hits, by_support + (each - value) / total, by_predicted


def _g_mean(n: Counts) -> Slopes:
    value = float(g_mean(n.hits, n.support))
    if value <= 0.0:
        return np.zeros_like(n.hits), np.zeros_like(n.hits), np.zeros_like(n.hits)
    share = value / float((n.support > 0).sum())
    with np.errstate(divide="ignore"):
        by_hits, by_support = (np.where(n.support > 0, share / each, 0.0) for each in (n.hits, n.support))
    return by_hits, -by_support, np.zeros_like(by_hits)


def _worst_class(n: Counts) -> Slopes:
    chosen = np.zeros_like(n.hits)
    chosen[int(np.nanargmin(ratio(n.hits, n.support)))] = 1.0
    return _scaled(recall(n), chosen)


def _mcc(n: Counts) -> Slopes:
    return matthews_slopes(n.hits, n.support, n.predicted)


SLOPES = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "weighted_f1": _weighted_f1,
    "g_mean": _g_mean,
    "mcc": _mcc,
    "precision": _precision,
    "worst_class": _worst_class,
}
