"""Permutation importance of columns in words and digits."""

from __future__ import annotations

from typing import Any

from longtail.facts.digits import alike
from longtail.report.metric_words import is_fraction, label
from longtail.report.printable import listed, shown
from longtail.report.rows import UNKNOWN

FIRST = 5
"""Columns that a line names."""
CAVEAT = (
    "It says what this model reads, not what causes the class: columns that say the same share their importance, so "
    "that each may look unimportant, and moved cells can make rows that do not exist."
)


def of_class(fall: float | None, error: float | None) -> str:
    """A fall of recall in points, in brackets where it is less than two standard errors; exactly none is 0."""
    if fall is None:
        return UNKNOWN
    if fall == 0 and not error:
        return "0"
    text = f"{100 * fall:.1f}".replace("-0.0", "0.0")
    return f"({text})" if error is None or abs(fall) < 2 * error else text


def of_metric(entry: dict[str, Any], *, points: bool) -> str:
    """What the metric loses ± one standard error; exactly nothing is 0."""
    fall, error = entry["metric"], entry["metric_se"]
    if fall is None:
        return UNKNOWN
    if fall == 0 and not error:
        return "0"
    if points:
        return f"{100 * fall:.1f} ± {100 * error:.1f}".replace("-0.0", "0.0")
    return " ± ".join(alike([fall, error]))


def without_effect(entry: dict[str, Any]) -> str:
    """A sentence on columns that change no decision of the test rows, where there are any."""
    none = [
        one["column"] for one in entry["columns"]
        if one["metric"] == 0 and not one["metric_se"] and not any(one["recall"]) and not any(one["recall_se"])
    ]  # fmt: skip
    return f"Without any effect on these test rows: {listed(none)}." if none else ""


def lines(summary: dict[str, Any]) -> list[str]:
    """A line for each row of which it was measured: the columns that it depends on most."""
    made = []
    for row in summary["rows"]:
        if entry := row.get("importance"):
            first = [one for one in entry["columns"][:FIRST] if one["metric"]]
            points = is_fraction(summary)
            named = ", ".join(f"{shown(one['column'])} {of_metric(one, points=points)}" for one in first)
            what = f"{shown(label(summary))}{', in points,' if points else ''}"
            made.append(f"What {shown(row['method'])} loses of {what} by moving a column's cells: {named or 'nothing'}")
    return made
