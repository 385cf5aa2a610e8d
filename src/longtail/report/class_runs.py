"""Classes from the largest to the smallest: each alone where they are few, in ten runs of neighbours where many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from longtail.report.printable import shortened

MOST_LINES = 12
"""Classes up to which each is alone."""
LABEL = 24
"""Columns of a label at most."""


def by_size(counts: Sequence[float]) -> list[int]:
    """The classes from the largest to the smallest, in their own order where two are of one size."""
    return sorted(range(len(counts)), key=lambda j: (-counts[j], j))


def runs(order: Sequence[int], most: int = MOST_LINES, pieces: int = 10) -> list[list[int]]:
    """The classes of `order` in lists of neighbours: of one each up to `most`, else `pieces` of about one length."""
    count = len(order)
    pieces = count if count <= most else pieces
    return [list(order[a:b]) for a, b in pairwise(round(i * count / pieces) for i in range(pieces + 1))]


def run_label(names: Sequence[str], *, ascii_only: bool = False) -> str:
    """The name of a class, or of the first and last class of a run, in no more than LABEL columns."""
    ends = [names[0]] if len(names) == 1 else [names[0], names[-1]]
    room = LABEL if len(ends) == 1 else (LABEL - len(" .. ")) // 2
    return " .. ".join(shortened(name, room, ascii_only=ascii_only) for name in ends)


def from_to(first: float, last: float) -> str:
    """As in 100-50, or one number where both are equal."""
    return f"{first:.9g}" if first == last else f"{first:.9g}-{last:.9g}"


def mean_known(values: Sequence[float | None]) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
