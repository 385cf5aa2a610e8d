"""Alignment, uniformity and spread of the encoders of a self-supervised comparison: one line for each method."""

from __future__ import annotations

from typing import Any

from longtail.facts.messages import visible
from longtail.report.rows import CONTEXT_MARK, UNKNOWN, context

HEADER = ("method", "alignment", "uniformity", "spread of many", "medium", "few")
SIDES = "<>>>>>"
COLUMNS = ("alignment", "uniformity", "spread_many", "spread_medium", "spread_few")


def measure_lines(summary: dict[str, Any]) -> list[list[str]]:
    """Return the table of measures, its header first; [] where no row has any."""
    lines = []
    for row in summary["rows"]:
        if measured := row.get("features"):
            mark = f" {CONTEXT_MARK}" if context(row) else ""
            lines.append([visible(row["method"]) + mark, *(_number(measured["mean"][name]) for name in COLUMNS)])
    return [list(HEADER), *lines] if lines else []


def about_measures(summary: dict[str, Any]) -> list[str]:
    """Return what the measures are, in lines."""
    if not measure_lines(summary):
        return []
    return [
        "Measured on the features f of test rows, divided by their length:",
        "- alignment: mean of |f(x) - f(y)|^2 over two contrastive views of a row (0: the same, 2: unrelated)",
        "- uniformity: log of the mean of exp(-2 |f - f'|^2) over pairs of rows, each with at most 2,000 others (0: "
        "all the same, -4: unrelated)",
        "- spread: mean over the classes of a group of the mean squared distance to the mean of the class (0: one "
        "point, 1: all directions); low spread alone is no merit",
    ]


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"
