"""Beta-binomial intervals: how many of m rows a promise from n calibration rows covers, where it holds.

Given the n calibration scores of a class, without ties, a threshold at the k-th smallest covers a share of the class
that is Beta(k, n + 1 - k) over calibration draws (Vovk 2012, "Conditional Validity of Inductive Conformal Predictors").
So of m fresh rows it covers

    P(X = x) = C(m, x) B(x + k, m - x + n + 1 - k) / B(k, n + 1 - k),   x = 0, ..., m.

A binomial with the share k / (n + 1) is too narrow: one calibration draw serves all m rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longtail.facts import checks

__all__ = ["beta_binomial", "covered_interval"]

ROUNDING = 1e-12  # of a sum of at most a few thousand relevant terms


def beta_binomial(m: int, a: float, b: float) -> NDArray[np.float64]:
    """Return P(X = x) (m + 1,) float64 for x = 0, ..., m, X binomial with a share that is Beta(a, b), a and b > 0."""
    x = np.arange(m)
    # of x + 1 to x: (m - x)(x + a) / ((x + 1)(m - x - 1 + b))
    steps = np.log((m - x) * (x + a)) - np.log((x + 1) * (m - x - 1 + b))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    shares = np.exp(logs - logs.max())
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def covered_interval(m: int, k: int, n: int, level: float = 0.95) -> tuple[int, int]:
    """Return how many of m rows are covered, lowest and highest, with at most (1 - level) / 2 outside on each side.

    Args:
        m: test rows of the class.
        k: which of the sorted scores is the threshold; k = n + 1 is none, and every row is covered.
        n: calibration rows of the class.
        level: of the interval.
    """
    checks.number("level", level, "use level=0.95", low=0.0, high=1.0)
    checks.whole("m", m, "pass the number of test rows", low=0)
    checks.whole("n", n, "pass the number of calibration rows", low=0)
    checks.whole("k", k, "pass the rank of the threshold", low=1, high=n + 1)
    if k == n + 1:
        return m, m
    below = np.cumsum(beta_binomial(m, k, n + 1 - k))
    tail = (1 - level) / 2
    low = int(np.searchsorted(below, tail + ROUNDING, side="right"))
    high = int(np.searchsorted(below, 1 - tail - ROUNDING))
    return low, min(high, m)
