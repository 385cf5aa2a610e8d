"""Intervals of metrics from sums and influences: no resampling, so that every evaluation can have them.

A share of n rows has the Wilson interval (its code is in `facts`, where the data package can import it, too). Any other
fraction v, of first-order variance V, is taken for a share of n_e rows, and has the Wilson interval of that:

    n_e = (v (1 - v) + d) / (V + d^2)

d is how far one further row, as good or as bad as can be, would move v. Of a share of n rows V = v (1 - v)/n and
d = 1/n, and n_e is n; where few rows all agree V = 0 claims certainty, and n_e = 1/d does not.
(`comparison.evidence.resampling` adds the same d^2. n_e is the effective sample size of Korn and Graubard 1998,
"Confidence intervals for proportions with small expected number of positive counts estimated from survey data", with
that guard.)

Means over classes, by the ends l_k and u_k of the intervals of their K parts (Zou and Donner 2008, "Construction of
confidence limits about effect measures"; Newcombe's square-and-add):

    v - sqrt(c sum_k (v_k - l_k)^2) / K        v + sqrt(c sum_k (u_k - v_k)^2) / K

with c the first-order variance of the sum over the sum of variances: 1 for recalls, whose rows are distinct, more where
one row counts in several classes.

At 95 % they held the true value in 91 to 99 % of simulated test sets, each on average over eight kinds with classes of 1
to 2000 rows, and in 84 % or more in its worst kind, but the mean average precision of classes of a single row: 76.5 %.
Made by `python -m benchmarks.metric_intervals --repetitions 400`: benchmarks/results/metrics/intervals.json.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from longtail.facts.intervals import wilson
from longtail.metrics.correlation import matthews
from longtail.metrics.rates import Floats, ratio
from longtail.metrics.rows import Counts

__all__ = [
    "LEVEL",
    "common_factor",
    "effective",
    "f1_ends",
    "f1_variances",
    "geometric_mean_ends",
    "mean_ends",
    "of_absolute_sum",
    "of_positive_mean",
    "precision_ends",
    "wilson",
    "worst_ends",
]

LEVEL = 0.95
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
_Z_ONE_SIDED = NormalDist().inv_cdf(LEVEL)

Ends = tuple[float, float]


def effective(value: Floats | float, variance: Floats | float, further: Floats | float) -> tuple[Floats, Floats]:
    """Return the ends of the interval of fractions, elementwise; NaN where the value is.

    Args:
        value: v in [0, 1]. variance: V >= 0, of first order. further: d > 0, what one further row changes at most.
    """
    v = np.clip(np.asarray(value, dtype=np.float64), 0.0, 1.0)
    d = np.asarray(further, dtype=np.float64)
    known = ~np.isnan(v)
    v = np.where(known, v, 0.0)
    size = np.where(known, (v * (1.0 - v) + d) / (variance + d**2), 0.0)
    return wilson(v * size, size, LEVEL)


def f1_ends(hits: Floats, support: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return the interval of F1 per class; NaN where F1 is undefined.

    F1 = 2J / (1 + J), J = hits / (support + predicted - hits): of the rows that are of the class or decided for it, the
    share that is both. So J has Wilson's interval, and F1, which grows with it, the transformed one.
    """
    either = support + predicted - hits
    low, high = wilson(np.minimum(hits, either), either, LEVEL)
    return 2.0 * low / (1.0 + low), 2.0 * high / (1.0 + high)


def mean_ends(values: Floats, low: Floats, high: Floats, common: float = 1.0) -> Ends:
    """Return the interval of the mean of what is defined; NaN without any. `common` is c of the module."""
    known = ~np.isnan(values)
    size = float(known.sum())
    if not size:
        return np.nan, np.nan
    v, below, above = values[known], low[known], high[known]
    middle, scale = float(v.mean()), np.sqrt(common) / size
    ends = middle - scale * np.linalg.norm(v - below), middle + scale * np.linalg.norm(above - v)
    # no further than all parts at their ends together
    return max(float(ends[0]), float(below.mean())), min(float(ends[1]), float(above.mean()))


def common_factor(variance_of_mean: float, variances: Floats) -> float:
    """Return c: how much more the sum of K parts varies than it would if they were independent, in [1, K].

    Not below 1: first-order variances are 0 of classes with few rows, and must not cancel what guards them.
    """
    known = variances[~np.isnan(variances)]
    apart = float(known.sum())
    return float(np.clip(variance_of_mean * len(known) ** 2 / apart, 1.0, len(known))) if apart > 0.0 else 1.0


def geometric_mean_ends(recall: Floats, low: Floats, high: Floats, support: Floats) -> Ends:
    """Return the interval of the geometric mean of the recalls that are defined: `mean_ends` of the logarithms.

    Where a recall is 0 so is the lower end; the upper end takes it at its own upper end. The logarithm of an estimated
    recall is too low by (1 - r) / (2 n r) on average, which the upper end adds.
    """
    known = ~np.isnan(recall)
    r, below, above, n = recall[known], low[known], high[known], support[known]
    lower = 0.0
    if below.min() > 0.0:
        lower = float(np.exp(np.log(r).mean() - np.linalg.norm(np.log(r / below)) / len(r)))
    raised = np.where(r > 0.0, np.minimum(r * np.exp((1.0 - r) / (2.0 * n * np.where(r > 0.0, r, 1.0))), above), above)
    upper = float(np.exp(np.log(raised).mean() + np.linalg.norm(np.log(above / raised)) / len(r)))
    return lower, min(upper, float(above.max()))


def worst_ends(hits: Floats, support: Floats) -> Ends:
    """Return the interval of the lowest recall: the lowest ends of intervals that hold all K recalls together.

    Each at 1 - (1 - level)/K (Bonferroni), so that it covers at least as often as it says.
    """
    present = support > 0
    n = support[present]
    low, high = wilson(np.minimum(hits[present], n), n, 1.0 - (1.0 - LEVEL) / len(n))
    return float(low.min()), float(high.min())


def of_positive_mean(mean: float, squares: float, total: float) -> Ends:
    """Return the interval of a mean loss >= 0, which has no upper bound: normal on the logarithmic scale.

    Its variance is (mean of squares - mean^2)/n + (mean/n)^2, the second for few rows that agree. A loss that no row
    showed is not foreseen.

    Args:
        mean: of the losses. squares: their mean square. total: n.
    """
    if mean <= 0.0:
        return 0.0, 0.0
    spread = np.sqrt(max(squares - mean**2, 0.0) / total + (mean / total) ** 2) / mean
    return float(mean * np.exp(-_Z * spread)), float(mean * np.exp(_Z * spread))


def of_absolute_sum(value: float, variances: Floats) -> Ends:
    """Return the interval of sum_b |g_b| from B estimated gaps with independent errors: at least as wide as need be.

    ||G| - |g|| <= |G - g|, so that the error of the sum is at most a sum of B half-normal variables, of mean
    sqrt(2/pi) s_b and variance (1 - 2/pi) s_b^2; half the width is its normal quantile. That the sum of estimates is
    too large on average (noise counts as a gap) is within it: perfect calibration is covered.

    Args:
        value: sum_b |G_b|. variances: s_b^2, (B,).
    """
    total = float(np.sqrt(variances.sum()))
    half = np.sqrt(2.0 / np.pi) * float(np.sqrt(variances).sum()) + _Z_ONE_SIDED * np.sqrt(1.0 - 2.0 / np.pi) * total
    half = max(half, _Z * total)
    return float(max(value - half, 0.0)), float(min(value + half, 1.0))


def precision_ends(hits: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return the Wilson interval of each precision; NaN where a class is never predicted."""
    return wilson(np.minimum(hits, predicted), predicted, LEVEL)


def f1_variances(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """Return the first-order variance of each F1: hits move it by (2 - 2 F1)/(s + p), other rows of the class by
    -F1/(s + p)."""
    both = support + predicted
    score = ratio(2.0 * hits, both)
    return ratio(hits * (2.0 - 2.0 * score) ** 2 + (both - 2.0 * hits) * score**2, both**2)


def precision_variances(hits: Floats, predicted: Floats) -> Floats:
    """Return the first-order variance of each precision; 0 where a class is never predicted."""
    return np.nan_to_num(ratio(hits * (predicted - hits), predicted**3))


def of_rows(value: float, variance: float, total: float) -> Ends:
    """Return the interval of a fraction that is about a mean over n rows: one further row moves it by up to 1/n."""
    low, high = effective(value, variance, 1.0 / total)
    return float(low), float(high)


def area_ends(value: Floats, variance: Floats, positives: Floats, others: Floats | None) -> tuple[Floats, Floats]:
    """Return the interval of each class's average precision, or with `others` of its ROC AUC; NaN where undefined.

    One further row of n moves it by up to max(v, 1 - v)/(n + 1). The variance within few rows is itself uncertain: one
    further row of the largest variance that a mean of fractions has, q(1 - q) with q = (v n + 1)/(n + 2), is added. Of
    an AUC both hold for positives and negatives, so that it does not matter which are called which.

    Args:
        value: v, (C,). variance: of first order. positives: weight of the class. others: weight of the rest.
    """
    groups = (positives,) if others is None else (positives, others)
    fewest = positives if others is None else np.minimum(positives, others)
    guess = (value * fewest + 1.0) / (fewest + 2.0)
    further, added = np.zeros_like(value), np.zeros_like(value)
    for size in groups:
        further = further + (np.maximum(value, 1.0 - value) / (size + 1.0)) ** 2
        added = added + np.nan_to_num(ratio(guess * (1.0 - guess), size**2))
    return effective(value, variance + added, np.sqrt(further))


def correlation_ends(value: float, variance: float, n: Counts) -> Ends:
    """Return the interval of a Matthews correlation, that of the fraction (1 + MCC)/2.

    The further row is of the rarest class, and right, or decided for the most frequent other class.
    """
    rarest = int(np.argmin(np.where(n.support > 0, n.support, np.inf)))
    other = int(np.argmax(np.where(np.arange(len(n.support)) == rarest, -1.0, n.support)))
    one = np.eye(len(n.support))
    support = n.support + one[rarest]
    wrong = matthews(n.hits, support, n.predicted + one[other])
    right = matthews(n.hits + one[rarest], support, n.predicted + one[rarest])
    half = (1.0 + value) / 2.0
    further = max((value - wrong) / 2.0, (right - value) / 2.0, max(half, 1.0 - half) / (float(support.sum()) + 1.0))
    low, high = effective(half, variance / 4.0, further)
    return float(2.0 * low - 1.0), float(2.0 * high - 1.0)
