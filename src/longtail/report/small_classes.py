"""Classes with so few test examples that their recall is uncertain, and how tables and pictures mark them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longtail.report.printable import listed

Summary = dict[str, Any]
ENOUGH = 10
"""Test examples below which a class is marked: one of them moves its recall by more than 10 points."""
MARK, PLAIN_MARK = "‡", "!"


def tested(summary: Summary) -> list[float]:
    """(C,) test examples of each class: rows, where they are known, and not the sum of their weights."""
    data = summary["data"]
    counts: list[float] = data.get("test_rows") or data["test_counts"]
    return counts


def small_classes(summary: Summary) -> set[int]:
    """The classes to mark; one without any test example has no recall."""
    return {j for j, n in enumerate(tested(summary)) if 0 < n < ENOUGH}


def marked(name: str, classes: Sequence[int] | None, summary: Summary) -> str:
    """The head of a column, marked where it is about one of these classes."""
    return f"{name} {MARK}" if small_classes(summary) & {*(classes or ())} else name


def explained(summary: Summary) -> list[str]:
    """The sentence below the table; none where no class is marked."""
    counts, few = tested(summary), small_classes(summary)
    if not few:
        return []
    ranked = sorted(few, key=lambda j: (counts[j], j))
    names = listed([summary["data"]["classes"][j] for j in ranked], notes=[f" {counts[j]:g}" for j in ranked])
    return [
        f"{MARK} has classes with fewer than {ENOUGH} test examples, where a single one moves the recall "
        f"by more than {100 // ENOUGH} points: {names}."
    ]
