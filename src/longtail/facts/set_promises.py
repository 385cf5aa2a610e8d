"""What sets promise for each class, in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from longtail.facts.set_ranks import as_percent, feasible

NAMED = 8
"""How many classes one sentence names."""


@dataclass(frozen=True)
class Promise:
    """What the sets promise for one class.

    Args:
        n: calibration rows of the class, or the sum of their weights.
        needs: the fewest rows with which the level can be promised.
    """

    n: float
    needs: int

    @property
    def promised(self) -> bool:
        """Whether the class has enough rows; if not, it is in every set, and nothing is promised."""
        return self.n >= self.needs


def promises(totals: Iterable[float], level: Fraction) -> tuple[Promise, ...]:
    """Return the promise for each class, from the numbers of its calibration rows."""
    needs = feasible(level)
    return tuple(Promise(int(n) if float(n).is_integer() else n, needs) for n in totals)


def promise_notes(given: Sequence[Promise], classes: Sequence[str], level: Fraction) -> list[str]:
    """Return one sentence on the classes with a promise and one on those without; each where there are any."""
    percent, notes = as_percent(level), []
    kept = [(name, p) for name, p in zip(classes, given, strict=True) if p.promised]
    short = [(name, p) for name, p in zip(classes, given, strict=True) if not p.promised]
    if kept:
        notes.append(
            f"sets promise to hold the true class of {percent} of the rows of each of these classes, on average over "
            f"calibration rows: {_named([f'{name} (n = {p.n:g})' for name, p in kept])}"
        )
    if len(short) == 1:
        name, p = short[0]
        notes.append(
            f"too few rows to promise {percent} for class {name} (needs {p.needs}, has {p.n:g}); it is in every set"
        )
    elif short:
        notes.append(
            f"too few rows to promise {percent} for {len(short)} classes (each needs {short[0][1].needs}): "
            f"{_named([f'{name} (has {p.n:g})' for name, p in short])}; they are in every set"
        )
    return notes


def _named(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
