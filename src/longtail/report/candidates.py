"""The candidates of a search as text, Markdown and CSV, and the files of a search."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longtail.facts.files import write_text
from longtail.metrics.registry import metric
from longtail.report import sensitivity_plot
from longtail.report.metric_words import about, is_fraction
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
    points, sign = is_fraction(summary), 1 if metric(summary["metric"]).higher_is_better else -1
    value, low, high = (_digits(end, points) for end in (row["metric"], *(row["interval"][e] for e in ("low", "high"))))
    best = "high" if sign > 0 else "low"
    alike = sum(r["difference"] is not None and sign * r["difference"][best] >= 0 for r in rows)
    lines = [
        f"Chosen: {row['method']}{changed}, {summary['metric']} {value}{' %' * points} "
        f"[{low}, {high}] on {summary['validation_rows']} validation rows, {folds}{summary['seeds']} seed(s); "
        "the test part was not used.",
        f"The interval is wide enough for the best of {sum(r['metric'] is not None for r in rows)} (95 %); the number "
        + (
            "itself is too high on average, since it was chosen for being the highest"
            if sign > 0
            else "itself is too low on average, since it was chosen for being the lowest"
        )
        + ": measure it on the test part."
        + ("" if summary["seeds"] > 1 else " One seed: the randomness of training is not in the interval."),
        f"{alike} other candidate(s) cannot be distinguished from it.",
    ]
    if classes := summary["unmeasured"]:
        lines.append(
            f"Without a validation row, {len(classes)} class(es) had no part in the choice: {listed(classes)}."
        )
    if summary["missing"]:
        lines.append(f"{summary['missing']} run(s) are missing, so the choice is not final; run the same again.")
    lines += about(summary)
    return lines + [f"Failed: {error}" for error in summary["failed"]]


def _lines(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    points = is_fraction(summary)
    return [_HEAD, *(_line(row, points) for row in summary["rows"])]


def _digits(value: float, points: bool, sign: str = "") -> str:
    """A fraction in percent, another number as it is."""
    return format(100 * value, f"{sign}.2f") if points else format(value, f"{sign}.4g")


def _line(row: Mapping[str, Any], points: bool) -> tuple[str, ...]:
    value, d = row["metric"], row["difference"]
    return (
        row["method"],
        _changes(row),
        "-" if value is None else _digits(value, points),
        "" if d is None else _digits(d["mean"], points, "+"),
        "" if d is None else f"[{_digits(d['low'], points, '+')}, {_digits(d['high'], points, '+')}]",
    )


def _changes(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in sorted(row["recipe_changes"].items()))
