"""What the terminal shows: tables on standard output, progress on standard error."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from longtail.report import picture, tables

WIDE = 118
"""Columns for output that is not a terminal, so that a table in a log keeps its lines."""


def console(*, stderr: bool = False) -> Console:
    """A console that honours NO_COLOR and does not break lines in files."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else WIDE, highlight=False, soft_wrap=False)


def progress(what: str) -> tuple[Progress, Any]:
    """A progress bar with an ETA on standard error, and its task."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
    )
    return bar, bar.add_task(what, total=None)


def comparison(summary: dict[str, Any]) -> None:
    """The ranked table, the picture, the verdict and what was measured."""
    out = console()
    winners = set(summary["verdict"]["winners"]) if summary["verdict"] else set()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(tables.header(summary)):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row, line in zip(summary["rows"], tables.cells(summary), strict=True):
        style = "green" if row["method"] in winners else "bold" if row["method"] == summary["reference"] else ""
        table.add_row(*line, style=style)
    out.print(table)
    out.print()
    if summary["rows"]:
        out.print(picture.text(summary, ascii_only=not draws_blocks()), markup=False)
        out.print()
    for sentence in tables.verdict_lines(summary):
        out.print(sentence, markup=False, style="bold")
    for note in tables.about(summary):
        out.print(note, markup=False, style="red" if note.startswith("FAILED") else "dim")


def draws_blocks() -> bool:
    """Whether standard output can show block characters."""
    encoding = (sys.stdout.encoding or "ascii").lower()
    return encoding.replace("-", "") in ("utf8", "utf16", "cp65001")
