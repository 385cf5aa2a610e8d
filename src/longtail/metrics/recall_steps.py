"""The precision-recall curve as steps: what average precision sums, averaged over runs and thinned without moving it.

A list of the rows with the highest scores is taken longer and longer, rows of one score all at once. Where its recall
rises from R_(k-1) to R_k its precision is P_k, and average precision is sum_k (R_k - R_(k-1)) P_k: the area under
steps of height P_k, without interpolation (Davis and Goadrich 2006, section 4: a straight line between two points of
this curve promises precision that no threshold has).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longtail.metrics.rates import Floats


@dataclass(frozen=True)
class RecallSteps:
    """A step of height `precision[k]` from `recall[k - 1]`, or 0, to `recall[k]`; the last recall is 1."""

    recall: Floats
    precision: Floats

    @property
    def average_precision(self) -> float:
        """The area under the steps."""
        return float(self._widths @ self.precision)

    @property
    def _widths(self) -> Floats:
        return np.diff(self.recall, prepend=0.0)

    def thinned(self, most: int) -> RecallSteps:
        """Return at most so many steps with the same area: neighbours become one of their mean precision.

        Which are joined goes by the length of the curve, so that steep parts keep their steps as flat ones do.
        """
        if len(self.recall) <= most:
            return self
        widths = self._widths
        length = np.cumsum(widths + np.abs(np.diff(self.precision, prepend=self.precision[0])))
        part = np.minimum((length / length[-1] * most).astype(np.int64), most - 1)
        _, part = np.unique(part, return_inverse=True)
        last = np.flatnonzero(np.diff(part, append=part[-1] + 1))
        return RecallSteps(self.recall[last], np.bincount(part, widths * self.precision) / np.bincount(part, widths))


def recall_steps(scores: Floats, positive: np.ndarray, weight: Floats | None = None) -> RecallSteps | None:
    """Return the curve of one class against the rest; None where it has no row, or no weight.

    Args:
        scores: (N,) higher for rows that rather are of the class.
        positive: (N,) bool, which rows are.
        weight: (N,) of the rows; a row of weight k counts as k rows.
    """
    weights = np.ones(len(scores)) if weight is None else np.asarray(weight, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], len(ranked) > 0))  # of rows with one score the last
    listed, found = (np.cumsum(values[order])[ends] for values in (weights, weights * positive))
    if not len(found) or found[-1] <= 0:
        return None
    rises = np.diff(found, prepend=0.0) > 0
    return RecallSteps(found[rises] / found[-1], found[rises] / listed[rises])


def mean_steps(curves: Sequence[RecallSteps]) -> RecallSteps:
    """Return the curve whose precision at each recall is the mean over the curves; so is its average precision."""
    recall = np.unique(np.concatenate([curve.recall for curve in curves]))
    heights = [curve.precision[np.searchsorted(curve.recall, recall)] for curve in curves]
    return RecallSteps(recall, np.mean(heights, axis=0))
