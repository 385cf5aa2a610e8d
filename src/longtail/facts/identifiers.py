"""Integers that are class indices, told from integers that are identifiers (row numbers, dates, codes of articles)."""

from __future__ import annotations

import numpy as np

SURELY_INDICES, SPARSE = 1000, 10
"""Integers are class indices where C = max + 1 is at most the one, or at most the other times the distinct ones."""

MOST_CLASSES = 100_000_000
"""Beyond, the counts alone take a gigabyte."""

WAY_OUT = "where they are identifiers, make them names with str, as in [str(v) for v in labels]"


def indices(array: np.ndarray) -> np.ndarray:
    """Integers (N,) as int64, which no unsigned label beyond it survives unseen."""
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"labels must be class indices, got {array.max()}; {WAY_OUT}")
    return array.astype(np.int64)


def numbered(found: np.ndarray) -> list[str]:
    """The names "0" to "C - 1", C = max + 1.

    Raises:
        ValueError: C > max(1000, 10 x the number of distinct labels), which are identifiers.
    """
    size = int(found.max()) + 1
    distinct = 0 if size <= SURELY_INDICES else len(np.unique(found))
    if size > max(SURELY_INDICES, SPARSE * distinct):
        raise ValueError(
            f"labels must be class indices, got {distinct} different ones up to {size - 1}; {WAY_OUT}, "
            "or pass num_classes or classes if they are indices of as many classes"
        )
    return [str(j) for j in range(size)]
