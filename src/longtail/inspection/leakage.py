"""Columns that hold the answer: whoever knows one of them knows the class.

The rule: from at most 20,000 rows (each class capped alike, so that rare ones stay whole) half the rows of every class
fit a histogram of the column (its values, or 1,024 quantiles in which all classes weigh the same), each bin answers
with the class that is relatively most frequent in it, the other half is asked, and the halves change places. The mean
recall over classes must reach 0.99. Only classes of at least 10 rows are judged, and at least 100 rows in all. A class
that is rare gains a column nothing: always answering the largest class is a mean recall of 1/C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.inspection.columns import Column

LEAKING = 0.99
MOST_ROWS = 20_000
LEAST_OF_CLASS = 10
LEAST_ROWS = 100
MOST_CLASSES = 1000
BINS = 1024
WIDE = 256
"""Columns beyond which a first look at SCREENED rows decides who is looked at closely."""
SCREENED = 2000
PROMISING = 0.9
SEED = 0


def leaking(columns: Sequence[Column], targets: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Columns that alone tell the class, the most telling first, with their mean recall on rows held out."""
    if len(columns) > WIDE:
        first = sampled(targets, SCREENED)
        columns = [c for c in columns if first and score(c, targets, *first) >= PROMISING]
    sample = sampled(targets, MOST_ROWS)
    if sample is None:
        return []
    scores = [(column.name, score(column, targets, *sample)) for column in columns]
    telling = sorted((s for s in scores if s[1] >= LEAKING), key=lambda s: -s[1])
    return [{"name": name, "balanced_accuracy": score} for name, score in telling]


def sampled(targets: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Rows (M,) of the classes that can be judged, and the half (M,) each stands in; None where nothing can be."""
    sizes = np.bincount(targets)
    largest = np.argsort(-sizes, kind="stable")[: min(MOST_CLASSES, most // LEAST_OF_CLASS)]
    judged = largest[sizes[largest] >= LEAST_OF_CLASS]
    if len(judged) < 2 or sizes[judged].sum() < LEAST_ROWS:
        return None
    cap = _cap(sizes[judged], most)
    order = np.random.default_rng(SEED).permutation(len(targets))
    order = order[np.isin(targets[order], judged)]
    order = order[np.argsort(targets[order], kind="stable")]
    starts = np.searchsorted(targets[order], targets[order], side="left")
    rank = np.arange(len(order)) - starts
    kept = rank < cap
    return order[kept], rank[kept] % 2


def _cap(sizes: NDArray[np.int64], most: int) -> int:
    """Rows of a class that are taken at most, so that all classes together give no more than `most`."""
    left = most
    for place, size in enumerate(np.sort(sizes)):
        share = left // (len(sizes) - place)
        if size > share:
            return int(share)
        left -= int(size)
    return int(sizes.max())


def score(column: Column, targets: NDArray[np.int64], rows: NDArray[np.int64], half: NDArray[np.int64]) -> float:
    """Mean recall over the classes of the rows, each half answered by a histogram of the other."""
    labels = np.unique(targets[rows], return_inverse=True)[1].ravel()
    values, size = column.values[rows], int(labels.max()) + 1
    hits = np.zeros(size)
    for held in (0, 1):
        fit, asked = half != held, half == held
        weight = (1.0 / np.bincount(labels[fit], minlength=size))[labels[fit]]
        bins = _binned(values, fit, weight) if column.ordered else values + 1
        answers = _answers(bins[fit], labels[fit], weight, int(bins.max()) + 1, size)
        hits += np.bincount(labels[asked], weights=answers[bins[asked]] == labels[asked], minlength=size)
    return float((hits / np.bincount(labels)).mean())


def _binned(values: NDArray[Any], fit: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of every value; missing ones have a bin of their own."""
    finite = np.clip(values.astype(np.float64), -1e300, 1e300)
    known = ~np.isnan(finite[fit])
    seen = finite[fit][known]
    distinct, place = np.unique(seen, return_inverse=True)
    cuts = np.arange(1, len(distinct))
    if len(distinct) > BINS:
        mass = np.cumsum(np.bincount(place.ravel(), weights=weight[known]))
        cuts = cuts[np.diff(np.floor(BINS * mass / mass[-1])) > 0]
    edges = distinct[cuts - 1] / 2 + distinct[cuts] / 2  # between two values, so that no bin is without a row
    return np.where(np.isnan(finite), len(edges) + 1, np.searchsorted(edges, finite, side="right"))


def _answers(
    bins: NDArray[np.int64], labels: NDArray[np.int64], weight: NDArray[np.float64], count: int, size: int
) -> NDArray[np.int64]:
    """(count,) the class with the largest weight in each bin, -1 in a bin that was not seen."""
    pairs, inverse = np.unique(bins * size + labels, return_inverse=True)
    total = np.bincount(inverse.ravel(), weights=weight)
    answers = np.full(count, -1, dtype=np.int64)
    order = np.argsort(total, kind="stable")  # the heaviest is written last
    answers[pairs[order] // size] = pairs[order] % size
    return answers
