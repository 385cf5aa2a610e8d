"""From counts to rates: recall, balanced accuracy, macro F1 and the geometric mean.

Every function reads, per class (last axis, C), the number of hits (true positives), of test examples
(``support``) and of predictions (``predicted``). Leading axes are free, so that a thousand resamples are
scored by the same code as one evaluation. Counts may be sums of weights.

The definitions are those of scikit-learn (``recall_score``, ``balanced_accuracy_score``, ``f1_score``) and
imbalanced-learn (``geometric_mean_score``). Undefined rates are NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Floats",
    "balanced_accuracy",
    "f1",
    "g_mean",
    "macro_f1",
    "macro_precision",
    "mean_of_defined",
    "ratio",
    "weighted_count",
    "weighted_f1",
]

Floats = NDArray[np.float64]


def weighted_count(index: NDArray[np.int64], weight: Floats, size: int) -> Floats:
    """Sum of ``weight`` per value of ``index``, (size,)."""
    return np.bincount(index, weights=weight, minlength=size).astype(np.float64)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise quotient, NaN where the denominator is 0."""
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator != 0))


def mean_of_defined(rates: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is defined."""
    defined = ~np.isnan(rates)
    return ratio(np.where(defined, rates, 0.0).sum(-1), defined.sum(-1).astype(np.float64))


def f1(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """F1 per class, 2 TP / (support + predicted); NaN where a class is neither present nor predicted."""
    return ratio(2.0 * hits, support + predicted)


def balanced_accuracy(hits: Floats, support: Floats) -> Floats:
    """Mean recall over the classes that have test examples."""
    return mean_of_defined(ratio(hits, support))


def macro_f1(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """Mean F1 over the classes that are present or predicted, as ``f1_score(average="macro")`` takes it.

    So a class without test examples counts, with F1 = 0, as soon as it is predicted.
    """
    return mean_of_defined(f1(hits, support, predicted))


def weighted_f1(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """Mean F1 weighted by the test examples of each class, as ``f1_score(average="weighted")`` takes it."""
    each = np.nan_to_num(f1(hits, support, predicted))
    return ratio((support * each).sum(-1), np.asarray(support.sum(-1) + 0.0 * each.sum(-1)))


def macro_precision(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """Mean precision over the classes that are present or predicted, as ``precision_score(average="macro")`` takes it.

    A class that is present and never predicted counts with 0 (scikit-learn's default), so that leaving rare classes
    out does not pay.
    """
    each = np.nan_to_num(ratio(hits, predicted))
    return mean_of_defined(np.where(support + predicted > 0, each, np.nan))


def g_mean(hits: Floats, support: Floats) -> Floats:
    """Geometric mean of the recalls of the classes that have test examples; 0 as soon as one of them is 0."""
    recall = ratio(hits, support)
    with np.errstate(divide="ignore"):
        return np.exp(mean_of_defined(np.log(recall)))
