"""The Matthews correlation of truth and decision, for any number of classes.

With n the total weight, c that of the rows that are right, t_k and p_k those of class k in truth and in decisions,

    MCC = (c n - sum_k t_k p_k) / sqrt((n^2 - sum_k p_k^2)(n^2 - sum_k t_k^2))

Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient"; with two classes
Matthews 1975. In [-1, 1]; 0 is what a decision without a look at the row gets. Where one class is all of the truth or
all of the decisions it is 0/0, and 0 here, as in scikit-learn's `matthews_corrcoef`.
"""

from __future__ import annotations

import numpy as np

from longtail.metrics.rates import Floats

__all__ = ["matthews", "matthews_slopes"]


def matthews(hits: Floats, support: Floats, predicted: Floats) -> float:
    """Return the correlation from weights per class, each (C,): right, of the class, decided for it."""
    right, n = float(hits.sum()), float(support.sum())
    spread = _spread(predicted, n) * _spread(support, n)
    return (right * n - float(support @ predicted)) / float(np.sqrt(spread)) if spread > 0.0 else 0.0


def matthews_slopes(hits: Floats, support: Floats, predicted: Floats) -> tuple[Floats, Floats, Floats]:
    """Return its derivatives with respect to the three, each (C,); 0 where it is 0/0."""
    right, n = float(hits.sum()), float(support.sum())
    of_decisions, of_truth = _spread(predicted, n), _spread(support, n)
    if of_decisions * of_truth <= 0.0:
        nothing = np.zeros_like(hits)
        return nothing, nothing, nothing
    root = float(np.sqrt(of_decisions * of_truth))
    value = matthews(hits, support, predicted)
    by_support = (right - predicted) / root - value * (n / of_decisions + (n - support) / of_truth)
    return np.full_like(hits, n / root), by_support, value * predicted / of_decisions - support / root


def _spread(weights: Floats, n: float) -> float:
    """n^2 - sum of squares, 0 where rounding alone is left of it."""
    spread = n * n - float(weights @ weights)
    return spread if spread > 1e-12 * n * n else 0.0
