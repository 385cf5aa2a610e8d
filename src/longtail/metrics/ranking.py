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
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtail.metrics.rates import Floats, mean_of_defined

__all__ = ["Areas", "Ranking", "one_against_rest", "ranked"]


@dataclass(frozen=True)
class Ranking:
    """One class against the rest: the two areas and what a unit of weight of each row changes in them, (N,)."""

    average_precision: float
    roc_auc: float
    average_precision_slope: Floats
    roc_auc_slope: Floats


def ranked(scores: Floats, positive: NDArray[np.bool_], weight: Floats) -> Ranking:
    """Return AP and AUC of the scores (N,) for the rows that are `positive` (N,), each counted `weight` (N,) times."""
    total = float(weight[positive].sum())
    others = float(weight[~positive].sum())
    nothing = np.zeros(len(scores))
    if total <= 0.0:
        return Ranking(np.nan, np.nan, nothing, nothing)
    thresholds = np.unique(scores[positive & (weight > 0)])  # ascending; K of them
    below = np.searchsorted(thresholds, scores, side="left")
    tied = thresholds[np.minimum(below, len(thresholds) - 1)] == scores
    cell = 2 * below + tied  # 2k: between thresholds k - 1 and k; 2k + 1: at threshold k
    size = 2 * len(thresholds) + 1
    both = np.bincount(cell + size * positive, weights=weight, minlength=2 * size).reshape(2, size)
    at_or_above = np.cumsum(both[:, ::-1], axis=1)[:, ::-1]
    false, true = at_or_above[:, 1::2]
    here = both[1, 1::2]
    precision = true / (true + false)
    ap = float(here @ precision) / total
    gained, lost = (np.cumsum(here * side / (true + false) ** 2) / total for side in (false, true))
    # of a row in a cell the thresholds t <= s are the first below + tied
    reached = (np.arange(size) + 1) // 2
    gained, lost = np.append(0.0, gained)[reached], np.append(0.0, lost)[reached]
    at = np.append(precision, 0.0)[np.minimum(np.arange(size) // 2, len(thresholds))]  # positives stand at thresholds
    slope = np.stack([-lost, (at - ap) / total + gained])
    ap_slope = slope.ravel()[cell + size * positive]
    if others <= 0.0:
        return Ranking(ap, np.nan, ap_slope, nothing)
    half_tied = at_or_above - both / 2.0  # at or above, ties half
    under = 1.0 - half_tied[0] / others
    over = half_tied[1] / total
    auc = float(both[1] @ under) / total
    placed = np.stack([(over - auc) / others, (under - auc) / total])
    return Ranking(ap, auc, ap_slope, placed.ravel()[cell + size * positive])


@dataclass(frozen=True)
class Areas:
    """Of all classes: AP and AUC (C,); slopes (N,) of their means; variances (2, C), from positives and negatives."""

    average_precision: Floats
    roc_auc: Floats
    average_precision_slope: Floats
    roc_auc_slope: Floats
    average_precision_variance: Floats
    roc_auc_variance: Floats

    @property
    def mean_average_precision(self) -> float:
        """Over the classes with rows."""
        return float(mean_of_defined(self.average_precision))

    @property
    def mean_roc_auc(self) -> float:
        """Over the classes with rows, and with rows of others."""
        return float(mean_of_defined(self.roc_auc))


def one_against_rest(probs: Floats, targets: NDArray[np.int64], weight: Floats) -> Areas:
    """Return both areas of every class and the influence of the rows on their means over the defined classes."""
    size = probs.shape[1]
    areas, spreads = np.full((2, size), np.nan), np.full((2, 2, size), np.nan)
    slopes = np.zeros((2, len(targets)))
    columns = np.ascontiguousarray(probs.T)
    for j in np.unique(targets[weight > 0]):
        positive = targets == j
        found = ranked(columns[j], positive, weight)
        areas[:, j] = found.average_precision, found.roc_auc
        for k, slope in enumerate((found.average_precision_slope, found.roc_auc_slope)):
            slopes[k] += slope
            spreads[k, :, j] = spread(slope, positive, weight)
    slopes /= np.maximum((~np.isnan(areas)).sum(axis=1), 1)[:, None]
    return Areas(areas[0], areas[1], slopes[0], slopes[1], spreads[0], spreads[1])


def spread(slope: Floats, positive: NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    """Return the first-order variance that positives and negatives bring, each group drawn within itself."""
    weighted = weight * slope
    square = weighted * slope
    found = []
    of_positives, all_rows = positive.astype(np.float64), float(weight.sum())
    n = float(weight @ of_positives)
    sums, squares = float(weighted @ of_positives), float(square @ of_positives)
    for size, total, squared in (
        (n, sums, squares),
        (all_rows - n, float(weighted.sum()) - sums, float(square.sum()) - squares),
    ):
        found.append(max(squared - total**2 / size, 0.0) if size > 0 else 0.0)
    return found[0], found[1]
