"""Checks of single numbers, without torch."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from longtail.facts.messages import quoted


def number(name: str, value: Any, hint: str, *, low: float = -math.inf, high: float = math.inf) -> None:
    """Check one finite number in [low, high], of Python or NumPy.

    Raises:
        TypeError: anything else, such as a tensor, a text or True.
        ValueError: out of range, NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {quoted(value)}; {hint}")
    try:
        fits = low <= float(value) <= high and math.isfinite(value)
    except OverflowError:  # an integer of a thousand digits
        fits = False
    if not fits:
        span = "" if low == -math.inf else f" >= {low:g} and"
        span = f" in [{low:g}, {high:g}] and" if high < math.inf else span
        raise ValueError(f"{name} must be{span} finite, got {quoted(value)}; {hint}")


def whole(name: str, value: Any, hint: str, *, low: int, high: int = 2**63 - 1) -> None:
    """Check one integer in [low, high], of Python or NumPy.

    Raises:
        TypeError: anything else, such as a tensor, a text, True or a float.
        ValueError: out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {quoted(value)}; {hint}")
    if not low <= int(value) <= high:
        span = f">= {low}" if int(value) < low else f"<= {high:,}"
        raise ValueError(f"{name} must be {span}, got {quoted(value)}; {hint}")
