"""Rows of each class after random or synthetic resampling to a ratio of the smallest to the largest class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def raised(counts: ArrayLike, ratio: float) -> NDArray[np.float64]:
    """Return max(n_j, floor(ratio n_max)) of classes that have rows, 0 of others: over-sampling, SMOTE.

    Args:
        counts: (C,) rows of each class.
        ratio: rows of the smallest class by those of the largest, afterwards.
    """
    n = np.asarray(counts, dtype=np.float64)
    return np.where(n > 0, np.maximum(n, _floor(ratio * n.max())), 0.0)


def lowered(counts: ArrayLike, ratio: float) -> NDArray[np.float64]:
    """Return min(n_j, floor(n_min / ratio)), n_min of the smallest class that has rows: under-sampling.

    Arguments as in `raised`.
    """
    n = np.asarray(counts, dtype=np.float64)
    found: NDArray[np.float64] = np.minimum(n, _floor(n[n > 0].min() / ratio))
    return found


def _floor(value: float) -> float:
    """Return the floor, a row more where only rounding keeps it out, as of 0.29 * 100 = 28.999999999999996."""
    return float(np.floor(value * (1 + 1e-12)))
