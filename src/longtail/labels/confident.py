"""Confident learning: how many rows of each given label belong to each class, from out-of-sample probabilities.

    t_k = mean of p_k over the rows labelled k
    C_ij = number of rows labelled i that are confident in j: p_j >= t_j (of several such classes the arg max of p)

Northcutt, Jiang and Chuang 2021, "Confident Learning", JAIR 70, eq. 1-5. The numbers are those of cleanlab 2.9, to the
last integer (`tests/labels/test_against_cleanlab.py`), where paper and package differ: a class that no row is confident
in keeps one row on the diagonal, thresholds have a floor of 2e-6 and a tolerance of 1e-6, and rows of the calibrated
joint are rounded to integers that keep the number of given labels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FLOOR = 2e-6
"""Smallest threshold, so that a class with self-confidence 0 does not accept every row."""
TOLERANCE = 1e-6
ABSENT = 2.0
"""Threshold of a class without rows: no probability reaches it."""


class Joint(NamedTuple):
    """The confident joint, and the rows that lie off its diagonal.

    Args:
        counts: (C, C) int64, given label by class; before calibration.
        off_diagonal: (M,) int64 rows that are confident in another class than their label, ascending.
    """

    counts: Ints
    off_diagonal: Ints


def thresholds(labels: Ints, probabilities: Floats) -> Floats:
    """Return (C,): the mean probability of each class over the rows labelled with it."""
    classes = range(probabilities.shape[1])
    means = [probabilities[labels == k, k].mean() if (labels == k).any() else ABSENT for k in classes]
    return np.clip(np.array(means, dtype=np.float64), FLOOR, None)


def confident_joint(labels: Ints, probabilities: Floats) -> Joint:
    """Return the joint of given label and confident class, not calibrated.

    Args:
        labels: (N,) int64 in [0, C).
        probabilities: (N, C), out of sample.
    """
    size = probabilities.shape[1]
    above = probabilities >= thresholds(labels, probabilities) - TOLERANCE
    number, only = above.sum(1), above.argmax(1)
    guess = np.where(number > 1, probabilities.argmax(1), only)
    counted = number > 0
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (labels[counted], guess[counted]), 1)
    np.fill_diagonal(counts, np.maximum(np.diagonal(counts), 1))
    return Joint(counts, np.flatnonzero(counted & (guess != labels)))


def calibrated(joint: Ints, labels: Ints) -> Ints:
    """Return the joint scaled to the number of rows of every given label, rounded to integers.

    The order of these operations, and of the sum in memory, decides ties that are rounded.
    """
    number = np.bincount(labels, minlength=len(joint))
    by_row = (np.asfortranarray(joint).T / np.clip(joint.sum(1), 1e-100, None) * number).T
    return rounded(by_row / np.sum(by_row) * np.sum(number), number)


def rounded(matrix: Floats, sums: Any) -> Ints:
    """Return integers near to these numbers whose rows have these sums."""
    return np.array([_rounded_row(row, total) for row, total in zip(matrix, sums, strict=True)]).astype(np.int64)


def _rounded_row(row: Floats, total: float) -> Floats:
    near = np.round(row)
    while abs(missing := total - near.sum()) > TOLERANCE:
        step = 1.0 if missing > 0 else -1.0
        # one more where rounding has taken most, one less where it has added most; ties as the default sort has them
        order = np.argsort(row - near)[:: -int(step)]
        near[order[: int(min(round(abs(missing)), len(near)))]] += step
    return near


def noise_rates(joint: Ints) -> Floats:
    """Return (C,): of the rows of each given label, the share that belongs to another class."""
    shares: Floats = 1.0 - np.diagonal(joint) / np.maximum(joint.sum(1), 1)
    return shares


class Noise(NamedTuple):
    """Matrices of conditional probabilities between given label and class, and the classes' prior.

    Args:
        given_by_true: (C, C), P(given = i | true = j); columns sum to 1.
        true_by_given: (C, C), P(true = i | given = j); columns sum to 1.
        prior: (C,), P(true = j).
    """

    given_by_true: Floats
    true_by_given: Floats
    prior: Floats


def latent(joint: Ints, labels: Ints) -> Noise:
    """Return what a (calibrated) joint says of the noise; cleanlab's `estimate_latent` with its default prior."""
    shares = np.bincount(labels, minlength=len(joint)) / float(len(labels))
    given = _proper(joint / np.clip(joint.sum(0).astype(np.float64), 1e-6, None))
    true = _proper(joint.T / np.clip(joint.sum(1).astype(np.float64), 1e-6, None))
    prior = np.clip(np.diagonal(true) / np.clip(np.diagonal(given), 1e-6, None) * shares, 1e-6, None)
    return Noise(given, true, prior / prior.sum())


def _proper(matrix: Floats) -> Floats:
    """Return a column-stochastic matrix with entries of at most 0.9999 off its diagonal."""
    diagonal = np.diagonal(matrix).copy()
    clipped = np.clip(matrix, 0.0, 0.9999)
    np.fill_diagonal(clipped, diagonal)
    proper: Floats = clipped / np.clip(clipped.sum(0), 1e-6, None)
    return proper
