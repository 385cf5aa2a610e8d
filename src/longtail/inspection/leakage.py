"""Find columns with leakage: those that alone predict the class.

The rule is two-fold cross-validation of a histogram classifier. Of at most 20,000 rows (with one cap on every class,
so that rare classes are complete), half the rows of every class fit a histogram of the column: its values, or 1,024
quantiles in which all classes weigh the same. Each bin predicts the class that is relatively most frequent in it, the
other half is predicted, and the halves are exchanged. The mean recall over classes must reach 0.99. Only classes of at
least 10 rows count, and 100 rows in all are needed. Rare classes do not help a column: always predicting the largest
class has mean recall 1/C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.inspection.columns import Column

LEAKING_RECALL = 0.99
MAX_ROWS = 20_000
MIN_CLASS_ROWS = 10
MIN_ROWS = 100
MAX_CLASSES = 1000
BINS = 1024
SCREENED_COLUMNS = 256
"""Beyond as many columns, only those with SCREENING_RECALL on SCREENING_ROWS rows are evaluated."""
SCREENING_ROWS = 2000
SCREENING_RECALL = 0.9
SEED = 0


def leaking_columns(columns: Sequence[Column], targets: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the columns that alone predict the class, with their mean recall on held-out rows, largest first."""
    if len(columns) > SCREENED_COLUMNS:
        screening = stratified_halves(targets, SCREENING_ROWS)
        columns = [c for c in columns if screening and mean_recall(c, targets, *screening) >= SCREENING_RECALL]
    sample = stratified_halves(targets, MAX_ROWS)
    if sample is None:
        return []
    recalls = [(column.name, mean_recall(column, targets, *sample)) for column in columns]
    leaking = sorted((r for r in recalls if r[1] >= LEAKING_RECALL), key=lambda r: -r[1])
    return [{"name": name, "balanced_accuracy": recall} for name, recall in leaking]


def stratified_halves(targets: NDArray[np.int64], max_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Sample rows (M,), M <= max_rows, of the classes with enough rows, and split every class in halves.

    Returns:
        The rows and their halves (M,), 0 or 1; None where there are too few rows or classes.
    """
    sizes = np.bincount(targets)
    largest = np.argsort(-sizes, kind="stable")[: min(MAX_CLASSES, max_rows // MIN_CLASS_ROWS)]
    classes = largest[sizes[largest] >= MIN_CLASS_ROWS]
    if len(classes) < 2 or sizes[classes].sum() < MIN_ROWS:
        return None
    cap = _class_cap(sizes[classes], max_rows)
    order = np.random.default_rng(SEED).permutation(len(targets))
    order = order[np.isin(targets[order], classes)]
    order = order[np.argsort(targets[order], kind="stable")]
    starts = np.searchsorted(targets[order], targets[order], side="left")
    rank = np.arange(len(order)) - starts
    sampled = rank < cap
    return order[sampled], rank[sampled] % 2


def _class_cap(sizes: NDArray[np.int64], max_rows: int) -> int:
    """Return the largest number of rows per class with which all classes together have at most `max_rows`."""
    remaining = max_rows
    for position, size in enumerate(np.sort(sizes)):
        share = remaining // (len(sizes) - position)
        if size > share:
            return int(share)
        remaining -= int(size)
    return int(sizes.max())


def mean_recall(column: Column, targets: NDArray[np.int64], rows: NDArray[np.int64], half: NDArray[np.int64]) -> float:
    """Return the mean recall over the classes of the rows, each half predicted by a histogram of the other."""
    labels = np.unique(targets[rows], return_inverse=True)[1].ravel()
    values, size = column.values[rows], int(labels.max()) + 1
    hits = np.zeros(size)
    for tested_half in (0, 1):
        fit, test = half != tested_half, half == tested_half
        weight = (1.0 / np.bincount(labels[fit], minlength=size))[labels[fit]]
        bins = _binned(values, fit, weight) if column.ordered else values + 1
        class_of_bin = _class_of_bin(bins[fit], labels[fit], weight, int(bins.max()) + 1, size)
        hits += np.bincount(labels[test], weights=class_of_bin[bins[test]] == labels[test], minlength=size)
    return float((hits / np.bincount(labels)).mean())


def _binned(values: NDArray[Any], fit: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of every value; missing values have a bin of their own."""
    finite = np.clip(values.astype(np.float64), -1e300, 1e300)
    known = ~np.isnan(finite[fit])
    distinct, inverse = np.unique(finite[fit][known], return_inverse=True)
    cuts = np.arange(1, len(distinct))
    if len(distinct) > BINS:
        mass = np.cumsum(np.bincount(inverse.ravel(), weights=weight[known]))
        cuts = cuts[np.diff(np.floor(BINS * mass / mass[-1])) > 0]
    edges = distinct[cuts - 1] / 2 + distinct[cuts] / 2  # between two values, so that every bin has a row
    return np.where(np.isnan(finite), len(edges) + 1, np.searchsorted(edges, finite, side="right"))


def _class_of_bin(
    bins: NDArray[np.int64], labels: NDArray[np.int64], weight: NDArray[np.float64], count: int, size: int
) -> NDArray[np.int64]:
    """Return (count,) the class with the largest weight in each bin, -1 in an empty bin."""
    pairs, inverse = np.unique(bins * size + labels, return_inverse=True)
    total = np.bincount(inverse.ravel(), weights=weight)
    classes = np.full(count, -1, dtype=np.int64)
    order = np.argsort(total, kind="stable")  # the largest weight is assigned last
    classes[pairs[order] // size] = pairs[order] % size
    return classes
