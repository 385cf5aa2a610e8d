"""How many rows a class needs before anything can be said about its labels.

Out of sample, a share h of the rows of a class is recognised. Were nothing learnt of the class, it would be the chance

    c = max(1/C, share of the rows of other labels that are taken for this class)

The lower end of Wilson's interval for h (one-sided 95 %, z = 1.645) is above c where

    n > z^2 c (1 - c) / (h - c)^2

The number needed is the smallest such n, at least 2, since a class's only row is never out of sample. h of a class of
few rows is uncertain itself: it is (hits + H) / (n + 1) with H the share recognised of all rows. Where h <= c no number
is known.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from longtail.labels.confident import Floats, Ints

Z = NormalDist().inv_cdf(0.95)


def rows_needed(labels: Ints, guesses: Ints, size: int) -> list[int | None]:
    """Return for each of C classes the number of rows that would be enough; None where no number is known.

    Args:
        labels: (N,), of the rows with an out-of-sample guess.
        guesses: (N,), the most probable class of each.
        size: C.
    """
    hit = labels == guesses
    overall = float(hit.mean()) if len(hit) else 0.0
    return [_needed(hit, labels, guesses, k, size, overall) for k in range(size)]


def _needed(hit: Floats | Ints, labels: Ints, guesses: Ints, k: int, size: int, overall: float) -> int | None:
    own, others = labels == k, guesses[labels != k] == k
    rate = (float(hit[own].sum()) + overall) / (float(own.sum()) + 1)
    chance = max(1 / size, float(others.mean()) if len(others) else 0.0)
    if rate <= chance:
        return None
    return max(2, int(np.floor(Z**2 * chance * (1 - chance) / (rate - chance) ** 2)) + 1)
