"""The share of wrong training labels that each method repeats, beside a comparison on data whose truth is known."""

from __future__ import annotations

from typing import Any

from longtail.facts.messages import visible
from longtail.report.rows import CONTEXT_MARK, context, percent, spread

HEADER = ("method", "wrong labels fitted", "many", "medium", "few", "true class found")
SIDES = "<>>>>>"
COLUMNS = ("fitted", "fitted_many", "fitted_medium", "fitted_few", "recovered")
"""Of the rows in comparison.csv, as `wrong_<name>`."""


def wrong_label_lines(summary: dict[str, Any]) -> list[list[str]]:
    """Return the table, its header first; [] where no label is known to be wrong."""
    lines = []
    for row in summary["rows"]:
        if (found := row.get("wrong_labels")) is not None:
            mean, mark = found["mean"], f" {CONTEXT_MARK}" if context(row) else ""
            fitted = spread(mean["fitted"], found["std"]["fitted"] if row.get("varies", True) else None)
            rest = (percent(mean[name]) for name in COLUMNS[1:])
            lines.append([visible(row["method"]) + mark, fitted, *rest])
    return [list(HEADER), *lines] if lines else []


def wrong_label_columns(summary: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the columns of comparison.csv, each with every method's share; {} where no label is known to be wrong."""
    if not any("wrong_labels" in row for row in summary["rows"]):
        return {}
    found = {row["method"]: row.get("wrong_labels", {}).get("mean", {}) for row in summary["rows"]}
    return {f"wrong_{name}": {method: mean.get(name) for method, mean in found.items()} for name in COLUMNS}


def about_wrong_labels(summary: dict[str, Any]) -> list[str]:
    """Return which labels are wrong, and what the table has, in lines."""
    noise = summary["data"].get("wrong_labels")
    if noise is None:
        return []
    return [
        f"Wrong training labels: {noise['wrong']:,} of {noise['rows']:,} ({percent(noise['by_true_class']['all'])} %); "
        f"of the rows of a true class {_by_group(noise['by_true_class'])}; "
        f"of the labels as given {_by_group(noise['by_given_label'])}.",
        "Wrong labels fitted: the share of them that the trained model predicts for their own training rows "
        "(memorisation), by group of the true class; true class found: for which it predicts that instead.",
    ]


def _by_group(shares: dict[str, float | None]) -> str:
    named = [f"{name} {percent(share)} %" for name, share in shares.items() if name != "all" and share is not None]
    return ", ".join(named) if named else f"{percent(shares['all'])} % (too few classes for groups)"
