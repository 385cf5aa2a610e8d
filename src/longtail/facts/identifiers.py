"""Distinguish class indices from integers that are identifiers (row numbers, dates, article codes)."""

from __future__ import annotations

import numpy as np

SURELY_INDICES, SPARSE = 1000, 10
"""Integers are class indices where C = max + 1 <= SURELY_INDICES, or <= SPARSE x the number of distinct labels."""

MOST_CLASSES = 100_000_000
"""With more classes the counts alone take a gigabyte."""

WAY_OUT = "where they are identifiers, make them names with str, as in [str(v) for v in labels]"


def as_indices(array: np.ndarray) -> np.ndarray:
    """Return integers (N,) as int64; ValueError for an unsigned label that is too large for it."""
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"labels must be class indices, got {array.max()}; {WAY_OUT}")
    return array.astype(np.int64)


def index_names(indices: np.ndarray) -> list[str]:
    """Return the names "0" to "C - 1", C = max + 1.

    Raises:
        ValueError: C > max(1000, 10 x the number of distinct labels): these are identifiers.
    """
    size = int(indices.max()) + 1
    distinct = 0 if size <= SURELY_INDICES else len(np.unique(indices))
    if size > max(SURELY_INDICES, SPARSE * distinct):
        raise ValueError(
            f"labels must be class indices, got {distinct} different ones up to {size - 1}; {WAY_OUT}, "
            "or pass num_classes or classes if they are indices of as many classes"
        )
    return [str(j) for j in range(size)]
