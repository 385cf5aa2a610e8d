"""What a table says of methods that chose their training on validation rows: the cost, and what they chose."""

from __future__ import annotations

from collections import Counter
from typing import Any

MOST = 3
"""Choices named at most; comparison.json has them all."""


def about_searches(summary: dict[str, Any]) -> list[str]:
    """Return a line for each method with a search, before them one on the budget where the reference is tuned."""
    rows = [row for row in summary["rows"] if row.get("search")]
    lines = [about_search(row["method"], row["search"]) for row in rows]
    if not rows:
        return []
    tuned = [row for row in rows if row["key"] == "tuned"]
    if any(row["method"] == summary["reference"] for row in tuned):
        apart = [row["method"] for row in summary["rows"] if row not in tuned and row.get("role") != "context"]
        but = f" but {', '.join(apart)}" if apart else ""
        most = max(count for row in tuned for count in row["search"]["trainings"])
        lines.insert(0, f"Tuned: every method{but}, by at most {most} trainings a run, on the validation rows alone.")
    return lines


def about_search(method: str, search: dict[str, Any]) -> str:
    """As in "ce-tuned: the best of 7 trainings by ..., 3.6 s; chosen: ce with weight_decay=0.001."."""
    return f"{method}: {_cost(search)}; chosen: {_choices(search)}."


def _cost(search: dict[str, Any]) -> str:
    """As in "the best of 7 trainings by balanced accuracy on validation rows, 3.6 s", all folds of a run together."""
    folds = len(search["chosen"]) // len(search["trainings"])
    least, most = (round(end / folds, 1) for end in (min(search["trainings"]), max(search["trainings"])))
    count = f"{most:g}" if least == most else f"{least:g} to {most:g}"
    seconds = sum(search["seconds"]) / len(search["seconds"])
    each = "" if folds == 1 else f"in each of {folds} folds "
    by = search["metric"].replace("_", " ")
    return f"{each}the best of {count} trainings by {by} on validation rows, {seconds:.1f} s"


def _choices(search: dict[str, Any]) -> str:
    """As in "ce with weight_decay=0.001 (3 of 5), ce (2 of 5)"."""
    counted, total = Counter(search["chosen"]).most_common(), len(search["chosen"])
    if total == 1:
        return str(counted[0][0])
    named = ", ".join(f"{text} ({count} of {total})" for text, count in counted[:MOST])
    return named + (f" and {len(counted) - MOST} more" if len(counted) > MOST else "")
