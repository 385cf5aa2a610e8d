"""Which of the sorted scores is the threshold, in exact arithmetic.

A level is the decimal number that was written: 0.9 is 9/10, although no binary number is. In binary, (9 + 1) x 0.9
would be a little above 9, and nine rows, which are just enough, would be too few.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from longtail.facts.messages import quoted
from longtail.facts.numbers import number

WAY_OUT = "choose a share such as 0.9"


def exact_level(level: Any, name: str = "level") -> Fraction:
    """Return a level 1 - a in (0, 1) as the fraction that its decimals mean.

    Raises:
        TypeError: no number.
        ValueError: 0 or less, 1 or more, NaN.
    """
    number(name, level, WAY_OUT)
    if not 0 < float(level) < 1:
        why = "; only the set of all classes is right for certain" if float(level) == 1 else ""
        raise ValueError(f"{name} must be > 0 and < 1, got {quoted(level)}{why}; {WAY_OUT}")
    return Fraction(repr(float(level)))


def rank(n: int, level: Fraction) -> int:
    """Return k = ceil((n + 1)(1 - a)): the k-th smallest of n scores is the threshold; k > n has none."""
    return math.ceil((n + 1) * level)


def feasible(level: Fraction) -> int:
    """Return the smallest n with a threshold, ceil(1 / a) - 1: 9 rows for 0.9, 99 for 0.99."""
    return math.ceil(1 / (1 - level)) - 1


def reached(total: float, level: Fraction, whole: bool) -> float:
    """Return the weight that the scores up to the threshold reach: `rank` where weights are whole, (W + 1)(1 - a) else.

    Args:
        total: W, the sum of the weights.
        level: 1 - a.
        whole: every weight is a whole number, so that a row of weight k is k rows.
    """
    exact = (Fraction(total) + 1) * level
    return math.ceil(exact) if whole else float(exact)


def as_percent(level: Fraction) -> str:
    """Return the level in words, such as "90 %"."""
    return f"{float(100 * level):g} %"
