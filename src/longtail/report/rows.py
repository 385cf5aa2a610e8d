"""One row of a comparison as text: its numbers, and what is marked."""

from __future__ import annotations

from typing import Any

from longtail.facts.digits import alike

UNKNOWN = "–"
CONTEXT_MARK = "§"
"""Of rows that take no part in the verdict."""


def shares(row: dict[str, Any]) -> bool:
    """Whether a row's training is another row's; a post-hoc method under its own recipe has one to itself."""
    return bool(row["reuses"]) or (not row["retrains"] and row.get("comparable", True))


def context(row: dict[str, Any]) -> bool:
    """Whether a row is only shown beside the methods that are compared."""
    return bool(row.get("role") == "context")


def percent(value: float | None) -> str:
    """A fraction in percent, one decimal."""
    return UNKNOWN if value is None else f"{100 * value:.1f}"


def spread(mean: float | None, std: float | None) -> str:
    """mean ± standard deviation, in percent."""
    return percent(mean) if std is None or mean is None else f"{100 * mean:.1f} ± {100 * std:.1f}"


def difference(row: dict[str, Any], points: bool = True) -> str:
    """The paired difference to the reference with its simultaneous interval: in points, or as a plain number."""
    return _ends(row.get("difference"), points)


def twin(row: dict[str, Any], reference: str, points: bool = True) -> str:
    """The same to its twin, and the twin's name; empty where that is the reference."""
    interval = row.get("twin")
    unlike = interval is not None and interval["method"] != reference
    return f"{_ends(interval, points)} {interval['method']}" if interval is not None and unlike else ""


def _ends(interval: dict[str, Any] | None, points: bool) -> str:
    if interval is None:
        return ""
    ends = [interval[key] for key in ("mean", "low", "high")]
    mean, low, high = [f"{100 * end:+.1f}" for end in ends] if points else alike(ends, "+")
    return f"{mean} [{low}, {high}]"


def changed(row: dict[str, Any]) -> str:
    """How a row's recipe differs from the common one, as in "weight_decay 0.0001, drop 0.1"."""
    return ", ".join(f"{name} {value}" for name, value in row["recipe_changes"].items()) or "the common recipe"
