"""A comparison as comparison.csv: one line per method with unrounded numbers."""

from __future__ import annotations

import csv
import io
from typing import Any

from longtail.facts.spreadsheet import cells
from longtail.report.rows import changed
from longtail.report.wrong_labels import wrong_label_columns


def comma_separated(summary: dict[str, Any]) -> str:
    """One line per method with unrounded numbers; no cell is a formula of a spreadsheet."""
    names = list(summary["rows"][0]["mean"]) if summary["rows"] else []
    # of a row in which one is undefined it is left empty
    further = list(dict.fromkeys(n for row in summary["rows"] for n in row.get("metrics", {}) if n not in names))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = ("mean", "low", "high")
    head = ["method", "paper", *names, *(f"{n}_std" for n in names), *(f"vs_{summary['reference']}_{e}" for e in ends)]
    wrong = wrong_label_columns(summary)
    head += ["seconds", "seeds", "recipe", "role", "twin", *(f"vs_twin_{e}" for e in ends), *wrong]
    head += [*further, *(f"{n}_std" for n in further)]
    writer.writerow(cells(head))
    for row in summary["rows"]:
        interval, paired = row.get("difference") or {}, row.get("twin") or {}
        line = (
            [row["method"], row["paper"], *row["mean"].values(), *row["std"].values(), *(interval.get(e) for e in ends),
             row["seconds"], len(row["runs"]), changed(row) if row.get("recipe_changes") else "common",
             row.get("role", "method"), *(paired.get(e) for e in ("method", *ends)),
             *(column[row["method"]] for column in wrong.values()),
             *(row.get("metrics", {}).get(n, {}).get(end) for end in ("mean", "std") for n in further)]
        )  # fmt: skip
        writer.writerow(cells(line))
    return file.getvalue()
