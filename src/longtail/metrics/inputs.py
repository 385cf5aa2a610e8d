"""Check the inputs of the metrics; every error is one line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.facts.arrays import as_array
from longtail.metrics.rates import Floats

__all__ = [
    "ROW_SUM_TOLERANCE",
    "checked_cost",
    "checked_labels",
    "checked_positive",
    "checked_probabilities",
    "checked_scores",
    "checked_weights",
]

ROW_SUM_TOLERANCE = 1e-3  # rounding of 16- and 32-bit softmax rows over thousands of classes


def checked_scores(scores: Any, num_classes: int | None = None) -> NDArray[Any]:
    """Return scores as an array (N, C) of real numbers, N >= 1; ``checked_probabilities`` checks their values."""
    array = as_array(scores)
    wanted = "(N, C)" if num_classes is None else f"(N, {num_classes})"
    if array.ndim != 2 or array.shape[1] == 0 or num_classes not in (None, array.shape[1]):
        other = array.ndim == 2 and array.shape[1] > 0
        way = (
            "give class_counts as longtail.class_counts(labels)"
            if other
            else "pass one row of class scores per example"
        )
        raise ValueError(
            f"scores must have shape {wanted}, one column per class of class_counts, got {array.shape}; {way}"
        )
    if array.shape[0] == 0:
        raise ValueError(f"scores must hold at least one example, got shape {array.shape}; nothing to evaluate")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"scores must be real numbers, got dtype {array.dtype}; pass logits or probabilities")
    return array


def checked_labels(labels: Any, n: int, num_classes: int, name: str = "targets") -> NDArray[np.int64]:
    """Return class indices (N,) in [0, C) as int64; accept a column (N, 1) and whole numbers stored as floats."""
    array = as_array(labels)
    if array.shape == (n, 1):
        array = array[:, 0]
    if array.shape != (n,):
        raise ValueError(
            f"{name} must have shape ({n},), one class index per example, got {array.shape}; "
            "use the rows that have a label"
        )
    whole = array.dtype.kind == "f" and bool((array == np.trunc(array)).all()) and bool(np.isfinite(array).all())
    if array.dtype.kind not in "biu" and not whole:
        raise TypeError(
            f"{name} must be integer class indices, got dtype {array.dtype}; encode the labels first, "
            "for example with numpy.unique(labels, return_inverse=True)[1]"
        )
    array = array.astype(np.int64)
    outside = (array < 0) | (array >= num_classes)
    if outside.any():
        at = int(np.argmax(outside))
        raise ValueError(
            f"{name} must lie in [0, {num_classes}), got {array[at]} at row {at}; "
            "drop unlabelled rows, or give class_counts for every class"
        )
    return array


def checked_weights(sample_weight: Any, n: int) -> Floats:
    """Return weights (N,), finite and >= 0; ones where None is given."""
    if sample_weight is None:
        return np.ones(n)
    weight = as_array(sample_weight).astype(np.float64)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}; give one weight per example")
    valid = np.isfinite(weight) & (weight >= 0)
    if not valid.all():
        at = int(np.argmin(valid))
        raise ValueError(
            f"sample_weight must be >= 0 and finite, got {weight[at]} at row {at}; use 0 to leave a row out"
        )
    return weight


def checked_probabilities(scores: NDArray[Any], probabilities: bool, first_row: int = 0) -> Floats:
    """Return rows of probabilities in float64: ``scores`` themselves, or their softmax.

    A logit of -inf is a class with probability 0; NaN, +inf and rows of only -inf raise ValueError.
    """
    values = scores.astype(np.float64)
    largest = values.max(axis=1)  # NaN where the row has one
    if not np.isfinite(largest).all():
        row = int(np.argmin(np.isfinite(largest)))
        raise ValueError(
            f"scores must be finite, got {largest[row]} in row {first_row + row}; "
            "look for a diverged training, or a row without a possible class"
        )
    if not probabilities:
        values -= largest[:, None]
        np.exp(values, out=values)
        values /= values.sum(axis=1, keepdims=True)
        return values
    total = values.sum(axis=1)
    bad = ~(np.abs(total - 1.0) <= ROW_SUM_TOLERANCE) | (values.min(axis=1) < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            "scores must be >= 0 with rows that sum to 1 where probabilities=True, got a row with sum "
            f"{total[row]:.6g} and minimum {values[row].min():.6g} at row {first_row + row}; "
            "use probabilities=False for logits"
        )
    return values


def checked_cost(cost: Any, num_classes: int) -> Floats:
    """Return Cost[true, decided] as floats (C, C), finite."""
    array = as_array(cost)
    wanted = (num_classes, num_classes)
    if array.shape != wanted or array.dtype.kind not in "fiub":
        raise ValueError(
            f"cost must have shape {wanted}, numbers Cost[true, decided], got shape {array.shape} of {array.dtype}; "
            "give one row per true class and one column per decision"
        )
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"cost must be finite, got {values[~np.isfinite(values)][0]}; give a large number instead")
    return values


def checked_positive(positive: Any, num_classes: int) -> int:
    """Return the index of the class that is meant, in [0, C)."""
    if isinstance(positive, bool) or not isinstance(positive, int | np.integer) or not 0 <= positive < num_classes:
        raise ValueError(f"positive must be a class index in [0, {num_classes}), got {positive!r}; give its index")
    return int(positive)
