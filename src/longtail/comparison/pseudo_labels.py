"""What corrections did to the pseudo-labels of a method: notes of the table, from the records of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from longtail.comparison.plan import Plan, Task
from longtail.facts.types import Record
from longtail.runs.cross_validation import fold_folder
from longtail.runs.run import Run


def pseudo_labels(plan: Plan, tasks: Iterable[Task]) -> dict[str, Any]:
    """Return the entries of a method's row, from the records of its runs and their folds.

    `changed` is the share of pseudo-labels changed in the last epoch, a mean over the trainings; `estimates` how many
    estimates of the class totals were made and accepted, and in how many of the trainings none was. A method that
    changes or estimates none has no such entry.
    """
    folders = [task.folder for task in tasks]
    if plan.folds is not None:
        folders = [fold_folder(folder, j) for folder in folders for j in range(plan.folds.k)]
    trainings = [Run(folder, {}, {}).records for folder in folders]
    changed = [shares[-1] for records in trainings if (shares := _all(records, "changed"))]
    estimates = [accepted for records in trainings if (accepted := _all(records, "accepted"))]
    entries: dict[str, Any] = {"changed": sum(changed) / len(changed)} if changed else {}
    if estimates:
        entries["estimates"] = {
            "made": sum(map(len, estimates)),
            "accepted": sum(map(sum, estimates)),
            "trainings": len(estimates),
            "without": sum(not any(accepted) for accepted in estimates),
        }
    return entries


def _all(records: Iterable[Record], name: str) -> list[Any]:
    return [record[name] for record in records if name in record]


def notes(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return sentences for each row of a table whose method changes pseudo-labels, or estimates their totals."""
    sentences = []
    for row in rows:
        if "changed" in row:
            share = 100 * row["changed"]
            sentences.append(f"{row['method']} changed {share:.1f} % of the pseudo-labels in the last epoch")
        if (of := row.get("estimates")) is not None:
            note = f"{row['method']} accepted {of['accepted']} of {of['made']} estimates of the class totals"
            if of["without"]:
                where = f"in {of['without']} of {of['trainings']} trainings"
                note += f"; where it accepted none, {where}, the totals are those of the labels"
            sentences.append(note)
    return sentences
