"""Expected calibration error: how far confidence is from being right that often.

With B equal-width bins, bin b = ((b-1)/B, b/B]; a confidence of exactly 0 belongs to the first.

    ECE           = sum_b |bin b| / N  * |accuracy(b) - mean confidence(b)|
    classwise ECE = 1/C sum_j sum_b |bin (b, j)| / N  * |frequency of class j in it - mean p_j in it|

The first uses the predicted class and its probability (Guo et al. 2017, "On Calibration of Modern
Neural Networks", equation 3), the second bins the probability of every class j over all examples, and a
rare class counts as much as a frequent one (Kull et al. 2019, "Beyond temperature scaling", section 2; the
mean is over all C classes, with or without test examples).

Each term equals |sum over the bin of (hit - p)| / N, so that one signed sum per bin suffices, and
batches add up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.metrics.inputs import checked_labels, checked_probabilities, checked_scores, checked_weights
from longtail.metrics.rates import Floats, weighted_count
from longtail.metrics.rows import Rows

__all__ = ["BINS", "class_gaps", "classwise_ece", "confidence_gaps", "ece"]

BINS = 15


def confidence_gaps(confidence: Floats, hits: NDArray[np.bool_], weight: Floats, bins: int) -> Floats:
    """Return the sums of weight (hit - confidence) and of weight (hit - confidence)^2 per confidence bin, (2, bins)."""
    cell, gap = _bin(confidence, bins), hits - confidence
    return np.stack([weighted_count(cell, weight * gap**k, bins) for k in (1, 2)])


def class_gaps(probs: Floats, targets: NDArray[np.int64], weight: Floats, bins: int) -> Floats:
    """Return the sums of weight (1[y = j] - p_j) and of its squares per class and bin of p_j, (2, C, bins)."""
    n, num_classes = probs.shape
    gap = -probs
    gap[np.arange(n), targets] += 1.0
    rows, columns = np.nonzero(probs > 1.0 / bins)  # at most bins - 1 per row: nearly all of a large C is in bin 0
    cell = columns * bins + _bin(probs[rows, columns], bins)
    above, each = gap[rows, columns], weight[rows]
    sums = np.stack([weighted_count(cell, each * above**k, num_classes * bins) for k in (1, 2)])
    by_class = sums.reshape(2, num_classes, bins)
    gap[rows, columns] = 0.0
    by_class[0, :, 0] += weight @ gap
    by_class[1, :, 0] += weight @ np.square(gap, out=gap)
    return by_class


def _bin(confidence: Floats, bins: int) -> NDArray[np.int64]:
    edges = np.arange(bins + 1) / bins
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def ece(probs: Any, targets: Any, bins: int = BINS, sample_weight: Any = None) -> float:
    """Return the expected calibration error of the predicted class; ties go to the lowest index.

    Args:
        probs: (N, C), rows that sum to 1. targets: (N,) class indices. bins: number of equal-width bins.
        sample_weight: (N,); a row of weight k counts as k rows.
    """
    rows, labels, weight = _checked(probs, targets, bins, sample_weight)
    predicted = rows.argmax(axis=1)
    confidence = rows[np.arange(len(rows)), predicted]
    gaps = confidence_gaps(confidence, predicted == labels, weight, bins)[0]
    return float(np.abs(gaps).sum() / weight.sum())


def classwise_ece(probs: Any, targets: Any, bins: int = BINS, sample_weight: Any = None) -> float:
    """Return the calibration error of every class's probability, averaged over classes; arguments as in ``ece``."""
    rows, labels, weight = _checked(probs, targets, bins, sample_weight)
    gaps = class_gaps(rows, labels, weight, bins)[0]
    return float(np.abs(gaps).sum() / (weight.sum() * rows.shape[1]))


def _checked(probs: Any, targets: Any, bins: int, sample_weight: Any) -> tuple[Floats, NDArray[np.int64], Floats]:
    if bins < 1:
        raise ValueError(f"bins must be >= 1, got {bins}; use bins={BINS}")
    scores = checked_scores(probs)
    labels = checked_labels(targets, *scores.shape)
    weight = checked_weights(sample_weight, len(scores))
    if weight.sum() <= 0:
        raise ValueError("sample_weight must be > 0 for some example, got only 0; correct the weights")
    return checked_probabilities(scores, probabilities=True), labels, weight


def rows_ece(rows: Rows) -> float:
    """Return the expected calibration error of the most probable class."""
    return float(np.abs(_confidence(rows)[0]).sum() / rows.total)


def rows_ece_slope(rows: Rows) -> Floats:
    """Return what a unit of weight of each row changes in it, (N,); a bin without a gap has none."""
    gaps, bins, gap = _confidence(rows)
    return np.asarray((np.sign(gaps)[bins] * gap - np.abs(gaps).sum() / rows.total) / rows.total)


def rows_classwise_ece(rows: Rows) -> float:
    """Return the calibration error of every class's probability, averaged over classes."""
    gaps = class_gaps(rows.probs, rows.targets, rows.weights, BINS)[0]
    return float(np.abs(gaps).sum() / (rows.total * rows.num_classes))


def rows_classwise_ece_slope(rows: Rows) -> Floats:
    """Return what a unit of weight of each row changes in it, (N,)."""
    gaps = class_gaps(rows.probs, rows.targets, rows.weights, BINS)[0]
    return class_gap_slopes(rows.probs, rows.targets, gaps, rows.total)


def class_gap_slopes(probs: Floats, targets: NDArray[np.int64], gaps: Floats, total: float) -> Floats:
    """Return the derivative of the classwise error (N,) from the sums of `class_gaps` (C, bins)."""
    n, num_classes = probs.shape
    signs, bins = np.sign(gaps), gaps.shape[1]
    sign = np.broadcast_to(signs[:, 0], probs.shape).copy()
    rows, columns = np.nonzero(probs > 1.0 / bins)
    sign[rows, columns] = signs[columns, _bin(probs[rows, columns], bins)]
    moved = sign[np.arange(n), targets] - np.einsum("ij,ij->i", sign, probs)
    value = np.abs(gaps).sum() / total
    return np.asarray((moved - value) / (total * num_classes))


def _confidence(rows: Rows) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Return the weighted gap per bin, and each row's bin and gap (hit - confidence)."""
    top = rows.probs.argmax(axis=1)
    confidence = rows.probs[np.arange(len(top)), top]
    gap = (top == rows.targets) - confidence
    bins = _bin(confidence, BINS)
    return weighted_count(bins, rows.weights * gap, BINS), bins, gap
