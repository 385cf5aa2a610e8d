"""Tables of docs/performance.md from the results of `python -m benchmarks.gpu`, one or more files per card."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
VERSIONS = ("driver", "cuda", "cudnn", "torch", "python")
ABSENT = ("error", "not measured")
Rows = dict[str, Any]


def measured() -> str:
    """Return the tables of every card that was measured: one heading each, with those of all its files."""
    cards: dict[str, list[str]] = {}
    for file in sorted(RESULTS.glob("gpu-*.json")):
        result = json.loads(file.read_text())
        cards.setdefault(result["machine"]["gpu"], []).append(tables(result))
    return "\n\n".join("\n\n".join([f"### {card}", *parts]) for card, parts in cards.items())


def tables(result: Rows) -> str:
    """Return the versions, the command and the tables of one file."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in VERSIONS if name in machine)
    command = re.sub(r"\S*/(\S+\.npz)", r"\1", machine["command"])  # wherever the data were
    parts = [f"{versions}; `{command}`."]
    for name, entry in result["sections"].items():
        seconds = f", {entry['seconds']:.0f} s" if "seconds" in entry else ""
        reason = next((f": {entry[key]}" for key in ABSENT if key in entry), "")
        parts.append(f"**{name[0].upper()}{name[1:]}**{seconds}{reason}")
        if entry.get("result"):
            parts.append(TABLES[name](entry["result"]))
    return "\n\n".join(parts)


def table(head: str, rows: Rows, cells: Callable[[Rows], list[str]]) -> str:
    """Return a table with a line per row, or the reason why there is none."""
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|---|" + "---:|" * (columns - 1)]
    for name, row in rows.items():
        reason = next((row[key] for key in ABSENT if key in row), None)
        shown = cells(row) if reason is None else [str(reason), *[""] * (columns - 2)]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def step(rows: Rows) -> str:
    """Epochs beside the plain loop."""
    head = "ResNet-32, batch 128 | s per epoch of a run | images/s of all runs | times the plain loop | peak MB"

    def cells(row: Rows) -> list[str]:
        times = f"{row['times_plain']:.2f}" if "times_plain" in row else ""
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:,}"
        return [f"{row['seconds_per_epoch']:.3f}", f"{row['images_per_second']:,}", times, peak]

    return table(head, rows, cells)


def trainings(rows: Rows) -> str:
    """Accuracy beside what was published."""

    def cells(row: Rows) -> list[str]:
        published = sorted(row.get("published", {}).values())
        accuracy = f"{row['accuracy']:.1f}" if "accuracy" in row else ""
        span = f"{published[0]:.1f} to {published[-1]:.1f} ({len(published)})" if published else ""
        return [accuracy, span, str(row.get("epochs", "")), f"{row['seconds']:.0f}"]

    return table("CIFAR-10-LT, ratio 100, seed 0 | accuracy % | published % | epochs | s", rows, cells)


def losses(rows: Rows) -> str:
    """Ratios to F.cross_entropy, one column per shape."""
    shapes = [shape for shape, losses in rows.items() if "not measured" not in losses]
    names = dict.fromkeys(name for shape in shapes for name in rows[shape])
    head = " | ".join(["time over F.cross_entropy's", *shapes])
    return table(head, {name: {"shapes": name} for name in names}, lambda r: [
        f"{rows[shape][r['shapes']]['ratio']:.2f}" for shape in shapes
    ])  # fmt: skip


def methods(rows: Rows) -> str:
    """A step or an epoch beside that of plain SGD."""

    def cells(row: Rows) -> list[str]:
        return [f"{row['ms']:.1f}", f"{row['ratio']:.3f}" if "ratio" in row else ""]

    return table("a step beside sgd's; captured: an epoch beside ce's | ms | ratio", rows, cells)


def checks(rows: Rows) -> str:
    """How many tests passed, and which failed."""
    counts = ", ".join(f"{rows[name]} {name}" for name in ("passed", "failed", "skipped"))
    return "\n".join([f"{counts}.", *(f"- `{failure}`" for failure in rows["failures"])])


TABLES: dict[str, Callable[[Rows], str]] = {
    "step": step,
    "trainings": trainings,
    "losses": losses,
    "methods": methods,
    "gpu tests": checks,
    "fast tests": checks,
}
"""Section -> what makes its table."""
