"""The candidates of a search as text, Markdown and CSV, and the files of a search."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longtail.facts.files import write_text
from longtail.report import sensitivity_plot
from longtail.report.printable import listed
from longtail.report.text_table import aligned, markdown_table

PICTURE = "sensitivity.svg"
_HEAD = ("method", "recipe", "validation", "to the chosen", "95 % interval")
_SIDES = "<<>>>"


def write(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write tune.json, tune.csv, tune.md and, with matplotlib, sensitivity.svg."""
    write_text(folder / "tune.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(_lines(summary))
    write_text(folder / "tune.csv", stream.getvalue())
    parts = [markdown_table(_lines(summary), _SIDES), *sentences(summary)]
    if (picture := sensitivity_plot.svg(summary)) is not None:
        write_text(folder / PICTURE, picture)
        parts.append(f"![metric against each knob]({PICTURE})")
    write_text(folder / "tune.md", "\n\n".join(parts) + "\n")


def plain(summary: Mapping[str, Any]) -> str:
    """Return the table and its sentences as text."""
    return "\n".join([*aligned(_lines(summary), _SIDES), "", *sentences(summary)])


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what was chosen, on what, and how sure that is."""
    row, rows = summary["chosen"], summary["rows"]
    changed = f" with {_changes(row)}" if row["recipe_changes"] else ""
    folds = f"in {summary['inner_folds']} inner folds, " if summary["inner_folds"] else ""
    low, high = (100 * row["interval"][end] for end in ("low", "high"))
    alike = sum(r["difference"] is not None and r["difference"]["high"] >= 0 for r in rows)
    lines = [
        f"Chosen: {row['method']}{changed}, {summary['metric']} {100 * row['metric']:.2f} % "
        f"[{low:.2f}, {high:.2f}] on {summary['validation_rows']} validation rows, {folds}{summary['seeds']} seed(s); "
        "the test part was not used.",
        f"The interval is wide enough for the best of {sum(r['metric'] is not None for r in rows)} (95 %); the number "
        "itself is too high on average, since it was chosen for being the highest: measure it on the test part."
        + ("" if summary["seeds"] > 1 else " One seed: the randomness of training is not in the interval."),
        f"{alike} other candidate(s) cannot be distinguished from it.",
    ]
    if classes := summary["unmeasured"]:
        lines.append(
            f"Without a validation row, {len(classes)} class(es) had no part in the choice: {listed(classes)}."
        )
    if summary["missing"]:
        lines.append(f"{summary['missing']} run(s) are missing, so the choice is not final; run the same again.")
    return lines + [f"Failed: {error}" for error in summary["failed"]]


def _lines(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [_HEAD, *(_line(row) for row in summary["rows"])]


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    value, d = row["metric"], row["difference"]
    return (
        row["method"],
        _changes(row),
        "-" if value is None else f"{100 * value:.2f}",
        "" if d is None else f"{100 * d['mean']:+.2f}",
        "" if d is None else f"[{100 * d['low']:+.2f}, {100 * d['high']:+.2f}]",
    )


def _changes(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in sorted(row["recipe_changes"].items()))
