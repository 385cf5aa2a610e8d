"""Points of the precision-recall curve of one class: the precision at a recall, the recall at a precision, the curve.

A threshold t on p_j decides for class j where p_j >= t; A(t) and B(t) are the weights of positives and negatives there,
P that of all positives:

    precision(t) = A / (A + B)      recall(t) = A / P
    precision@recall=R: the highest precision of the thresholds with recall >= R
    recall@precision=Q: the highest recall of the thresholds with precision >= Q; 0 without any

both over the points of scikit-learn's `precision_recall_curve` (whose last point, recall 0 and precision 1, is no
threshold and gives the 0). The threshold is chosen on the rows that are judged, as in a curve that is drawn from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtail.metrics.rates import Floats
from longtail.metrics.rows import Rows

__all__ = ["Curve", "curve", "precision_at_recall", "precision_recall_curve", "recall_at_precision", "slopes"]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Curve:
    """Thresholds (K,), descending, with the weight of positives and negatives at or above each."""

    thresholds: Floats
    true: Floats
    false: Floats

    @property
    def precision(self) -> Floats:
        """Share of the rows at or above each threshold that are of the class, (K,)."""
        return self.true / (self.true + self.false)

    @property
    def recall(self) -> Floats:
        """Share of the class's rows that are at or above each threshold, (K,), ascending."""
        return np.asarray(self.true / self.true[-1])


def curve(scores: Floats, positive: NDArray[np.bool_], weight: Floats) -> Curve | None:
    """Return the curve of all distinct scores (N,) with weight; None without positives."""
    used = weight > 0
    thresholds, at = np.unique(-scores[used], return_inverse=True)
    cell = at + len(thresholds) * positive[used]
    false, true = np.bincount(cell, weights=weight[used], minlength=2 * len(thresholds)).reshape(2, -1).cumsum(axis=1)
    return Curve(-thresholds, true, false) if true[-1] > 0 else None


def precision_at_recall(points: Curve, recall: float) -> tuple[float, int]:
    """Return the highest precision at this recall or more, and the index of its threshold."""
    precision = np.where(points.recall >= recall - _ROUNDING, points.precision, -1.0)
    best = int(np.argmax(precision))
    return float(precision[best]), best


def recall_at_precision(points: Curve, precision: float) -> tuple[float, int | None]:
    """Return the highest recall at this precision or more, and the index of its threshold; 0 and None without one."""
    enough = points.precision >= precision - _ROUNDING
    if not enough.any():
        return 0.0, None
    best = int(np.flatnonzero(enough)[np.argmax(points.recall[enough])])
    return float(points.recall[best]), best


def slopes(scores: Floats, positive: NDArray[np.bool_], points: Curve, kind: str, level: float) -> Floats:
    """Return what a unit of weight of each row changes in precision@recall or recall@precision, (N,).

    A threshold at a fixed recall moves with the rows, so that this is no derivative at fixed rows (those jump) but that
    of the curve behind them: with F(r) the weight of negatives above the threshold of recall r, precision is
    rP / (rP + F(r)), a positive moves the recall by ([s >= t] - r)/P, and F' is the slope of F over recalls
    r -+ max(2/K, P^(-1/2)/2), K the number of positive thresholds. A recall at a precision moves by minus the change of
    the precision there over its slope. 0 where a constraint does not bind, or no threshold meets it.
    """
    total = float(points.true[-1])
    value, index = (precision_at_recall if kind == "precision@recall" else recall_at_precision)(points, level)
    nothing = np.zeros(len(scores))
    if index is None:
        return nothing
    recall = float(points.recall[index])
    precision, false = float(points.precision[index]), float(points.false[index])
    reached = scores >= points.thresholds[index]
    width = max(2.0 / len(np.unique(points.true)), 0.5 / np.sqrt(total))
    low, high = max(recall - width, 0.0), min(recall + width, 1.0)
    f_low, f_high = np.interp([low, high], np.append(0.0, points.recall), np.append(0.0, points.false))
    climb = float(f_high - f_low) / (high - low)
    mass = recall * total + false
    by_false, by_total = -precision / mass, recall * (1.0 - precision) / mass
    moved = np.where(positive, by_total - by_false * climb * (reached - recall) / total, by_false * reached)
    if kind == "precision@recall":
        return np.asarray(moved)
    # along the curve: d/dr of rP / (rP + F(r))
    along = (total * false - recall * total * climb) / mass**2
    return np.asarray(moved / -along) if along < 0.0 and value < 1.0 else nothing


def precision_recall_curve(rows: Rows, class_index: int, points: int = 60) -> dict[str, list[float]]:
    """Return {"recall", "precision"} of one class against the rest, for a plot: at most `points` thresholds.

    Recall ascends. Of longer curves, the first and last point and evenly spaced ones by recall are kept, at each the
    best precision of the recalls that it stands for: what the curve promises there, and what it loses beyond. Lists
    are empty for a class without rows.

    Args:
        rows: the rows. class_index: the class. points: >= 3.

    Raises:
        ValueError: no such class, or fewer than three points.
    """
    if not 0 <= class_index < rows.num_classes:
        raise ValueError(
            f"class_index must lie in [0, {rows.num_classes}), got {class_index}; give the index of a class"
        )
    if points < 3:
        raise ValueError(f"points must be >= 3, got {points}; use points=60")
    found = curve(rows.probs[:, class_index], rows.targets == class_index, rows.weights)
    if found is None:
        return {"recall": [], "precision": []}
    recall, precision = found.recall, found.precision
    if len(recall) > points:
        part = np.minimum((recall * (points - 2)).astype(np.int64), points - 3)
        part[0], part[-1] = -1, points
        starts = np.flatnonzero(np.diff(part, prepend=-2))
        ends = np.append(starts[1:], len(part))
        best = [a + int(np.argmax(precision[a:b])) for a, b in zip(starts, ends, strict=True)]
        recall, precision = recall[best], precision[best]
    return {"recall": recall.tolist(), "precision": precision.tolist()}
