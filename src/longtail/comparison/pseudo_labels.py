"""How many pseudo-labels a correction changed: a note of the table, from the records of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from longtail.comparison.plan import Plan, Task
from longtail.runs.cross_validation import fold_folder
from longtail.runs.run import Run


def changed_share(plan: Plan, tasks: Iterable[Task]) -> float | None:
    """Return the share of pseudo-labels changed in the last epoch of a method's runs, a mean over runs and their folds.

    None for a method that changes none.
    """
    folders = [task.folder for task in tasks]
    if plan.folds is not None:
        folders = [fold_folder(folder, j) for folder in folders for j in range(plan.folds.k)]
    lasts: list[float] = []
    for folder in folders:
        lasts += [record["changed"] for record in Run(folder, {}, {}).records if "changed" in record][-1:]
    return sum(lasts) / len(lasts) if lasts else None


def changed_notes(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each row of a table whose method changes pseudo-labels."""
    return [
        f"{row['method']} changed {100 * row['changed']:.1f} % of the pseudo-labels in the last epoch"
        for row in rows
        if "changed" in row
    ]
