"""How precisely a held-out part can measure each class, from its size alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from longtail.facts.arrays import as_array
from longtail.facts.intervals import wilson
from longtail.facts.messages import quoted


class Limit(NamedTuple):
    """Of a class with `examples` rows, `tested` would be held out, and a recall of one half, where the 95 % Wilson
    interval is widest, would have the interval from `low` to `high`; None where nothing is tested.
    """

    examples: int
    tested: int
    low: float | None
    high: float | None

    @property
    def width(self) -> float | None:
        """The width of the interval."""
        return None if self.low is None or self.high is None else self.high - self.low


def check_share(name: str, share: Any) -> None:
    """Raise ValueError where a share to be held out is not in (0, 1)."""
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"{name} must be in (0, 1), the share that is held out, got {quoted(share)}; try 0.2")


def check_folds(k: Any, name: str = "folds") -> None:
    """Raise ValueError where k, the argument of that name, is not an integer >= 2."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 2:
        raise ValueError(f"{name} must be an integer >= 2, got {quoted(k)}; 5 is usual")


def held_out_size(count: int, share: float) -> int:
    """Return how many of a class's n examples to hold out: round(share n), at least one and never all; none of one."""
    return 0 if count < 2 else min(max(1, round(share * count)), count - 1)


def validation_limits(counts: Any, share: float) -> list[Limit]:
    """Return how precisely each class could be measured, in class order.

    Args:
        counts: (C,) examples per class, as rows (not as sums of weights).
        share: held out, in (0, 1); 1 means cross-validation, which tests every example of a class of two or more.

    Raises:
        ValueError: the share is outside of (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share held out must be in (0, 1], got {share!r}; try 0.2, or 1 for cross-validation")
    sizes = [int(n) for n in as_array(counts).tolist()]
    tested = [n if share == 1 and n > 1 else held_out_size(n, share) for n in sizes]
    rows = []
    for count, n in zip(sizes, tested, strict=True):
        low, high = wilson(n / 2, n)
        rows.append(Limit(count, n, float(low) if n else None, float(high) if n else None))
    return rows
