"""How many digits of numbers are shown side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST = 9


def alike(values: Sequence[float], sign: str = "", significant: int = 3) -> list[str]:
    """Return the numbers with as many decimals as the largest needs for `significant` digits.

    As in -0.689, -1.38, 0.0004 -> "-0.69", "-1.38", "0.00". What is rounded to 0 has no minus.

    Args:
        values: finite numbers. sign: "+" shows the sign of positive ones, too. significant: digits of the largest.
    """
    largest = max((abs(value) for value in values), default=0.0)
    decimals = min(max(significant - 1 - math.floor(math.log10(largest)), 0), MOST) if largest > 0 else 0
    return [f"{round(value, decimals) + 0.0:{sign}.{decimals}f}" for value in values]
