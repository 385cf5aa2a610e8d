"""Average precision and ROC AUC of one class against the rest, with the influence of every row on them.

Rows are ranked by p_j, class j against the rest. With A(t), B(t) the weight of positives and negatives that score t
or more, P and M their totals, and p(t) the weight of positives that score exactly t,

    AP  = sum_t p(t)/P  A(t) / (A(t) + B(t))                                 t: the distinct scores of the positives
    AUC = sum_{i positive, k negative} w_i w_k ([s_i > s_k] + [s_i = s_k]/2) / (P M)

AP is the step-wise area under the precision-recall curve, without interpolation, as scikit-learn's
`average_precision_score`; rows of one score enter together. AUC is scikit-learn's `roc_auc_score(multi_class="ovr")`.
Of a class without positives neither is defined, nor AUC without negatives: NaN.

Derivatives with respect to the weight of one row of score s:

    dAP/dw   positive: (prec(s) - AP + sum_{t <= s} p(t) B(t)/(A(t)+B(t))^2) / P
             negative: -sum_{t <= s} p(t) A(t)/(A(t)+B(t))^2 / P
    dAUC/dw  positive: (share of the negatives below s, ties half - AUC) / P, negative: likewise with those above

(the placements of DeLong, DeLong and Clarke-Pearson 1988, "Comparing the areas under two or more correlated ROC
curves"). A row enters only by where it stands among the positives, so that a class costs O(N log n_j).

With few positives AP is too high on average, as each is among those that score as much as itself. In `others_precision`
A(t) is (A(t) - 1) P / (P - 1), the share of the *other* positives there, and AP is too low instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtail.metrics.rates import Floats, mean_of_defined

__all__ = ["Areas", "Ranking", "one_against_rest", "ranked"]


@dataclass(frozen=True)
class Ranking:
    """One class against the rest: the two areas, what a unit of weight of each row changes in them, (N,), and their
    first-order variances sum_i w_i slope_i^2. `others_precision`: AP in which no row counts for itself."""

    average_precision: float
    roc_auc: float
    average_precision_slope: Floats
    roc_auc_slope: Floats
    average_precision_variance: float
    roc_auc_variance: float
    others_precision: float


def ranked(scores: Floats, positive: NDArray[np.bool_], weight: Floats) -> Ranking:
    """Return AP and AUC of the scores (N,) for the rows that are `positive` (N,), each counted `weight` (N,) times."""
    total = float(weight[positive].sum())
    others = float(weight[~positive].sum())
    nothing = np.zeros(len(scores))
    if total <= 0.0:
        return Ranking(np.nan, np.nan, nothing, nothing, np.nan, np.nan, np.nan)
    thresholds = np.unique(scores[positive & (weight > 0)])  # ascending; K of them
    below = np.searchsorted(thresholds, scores, side="left")
    tied = thresholds[np.minimum(below, len(thresholds) - 1)] == scores
    size = 2 * len(thresholds) + 1
    # negatives first; cell 2k: between thresholds k - 1 and k; 2k + 1: at threshold k
    cell = 2 * below + tied + size * positive
    both = np.bincount(cell, weights=weight, minlength=2 * size).reshape(2, size)
    at_or_above = np.cumsum(both[:, ::-1], axis=1)[:, ::-1]
    false, true = at_or_above[:, 1::2]
    here = both[1, 1::2]
    precision = true / (true + false)
    ap = float(here @ precision) / total
    # of the other positives the same share above
    apart = np.maximum(true - 1.0, 0.0) * (total / (total - 1.0) if total > 1.0 else 1.0)
    alone = float(here @ np.where(false > 0.0, apart / np.where(false > 0.0, apart + false, 1.0), 1.0)) / total
    gained, lost = (np.cumsum(here * side / (true + false) ** 2) / total for side in (false, true))
    # of a row in a cell the thresholds t <= s are the first below + tied
    reached = (np.arange(size) + 1) // 2
    gained, lost = np.append(0.0, gained)[reached], np.append(0.0, lost)[reached]
    at = np.append(precision, 0.0)[np.minimum(np.arange(size) // 2, len(thresholds))]  # positives stand at thresholds
    moved = np.stack([-lost, (at - ap) / total + gained])
    ap_slope, ap_variance = moved.ravel()[cell], float((both * moved**2).sum())
    if others <= 0.0:
        return Ranking(ap, np.nan, ap_slope, nothing, ap_variance, np.nan, alone)
    half_tied = at_or_above - both / 2.0  # at or above, ties half
    under = 1.0 - half_tied[0] / others
    over = half_tied[1] / total
    auc = float(both[1] @ under) / total
    placed = np.stack([(over - auc) / others, (under - auc) / total])
    return Ranking(ap, auc, ap_slope, placed.ravel()[cell], ap_variance, float((both * placed**2).sum()), alone)


@dataclass(frozen=True)
class Areas:
    """Of all classes: AP and AUC (C,), the slopes (N,) of their means, their first-order variances (C,), and
    the weights (N,). `others_precision`: as in `Ranking`."""

    average_precision: Floats
    roc_auc: Floats
    average_precision_slope: Floats
    roc_auc_slope: Floats
    average_precision_variance: Floats
    roc_auc_variance: Floats
    others_precision: Floats
    weight: Floats

    @property
    def mean_average_precision(self) -> float:
        """Over the classes with rows."""
        return float(mean_of_defined(self.average_precision))

    @property
    def mean_roc_auc(self) -> float:
        """Over the classes with rows, and with rows of others."""
        return float(mean_of_defined(self.roc_auc))


def one_against_rest(blocks: Iterable[Floats], num_classes: int, targets: NDArray[np.int64], weight: Floats) -> Areas:
    """Return both areas of every class and what the weight of each row changes in their means over defined classes.

    Args:
        blocks: the columns p_j of consecutive classes, (b, N) each, so that not all are in memory at once.
        num_classes: C. targets: (N,). weight: (N,).
    """
    areas, variances = np.full((2, 2, num_classes), np.nan)
    alone = np.full(num_classes, np.nan)
    slopes = np.zeros((2, len(targets)))
    present = np.bincount(targets, weights=weight, minlength=num_classes) > 0
    for j, column in enumerate(column for block in blocks for column in block):
        if not present[j]:
            continue
        found = ranked(column, targets == j, weight)
        areas[:, j] = found.average_precision, found.roc_auc
        alone[j] = found.others_precision
        variances[:, j] = found.average_precision_variance, found.roc_auc_variance
        slopes[0] += found.average_precision_slope
        slopes[1] += found.roc_auc_slope
    slopes /= np.maximum((~np.isnan(areas)).sum(axis=1), 1)[:, None]
    return Areas(areas[0], areas[1], slopes[0], slopes[1], variances[0], variances[1], alone, weight)
