"""A comparison on standard output: the table, the bars and the sentences."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from longtail.report import column_importance, recall_plot, tables
from longtail.report.further_tables import further_tables
from longtail.report.rows import context
from longtail.report.text_table import aligned

WIDE = 118
"""Columns of output that is not a terminal, so that the lines of a table in a log are not broken."""

ALWAYS = 3
"""Columns of `tables.header`: method, metric and difference are always shown, many, medium and few if possible."""


def console(*, stderr: bool = False) -> Console:
    """A console that honours NO_COLOR and does not break lines in files."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, width=None if stream.isatty() else WIDE, highlight=False, emoji=False, soft_wrap=False
    )


def comparison(summary: dict[str, Any]) -> None:
    """Print the ranked table, the bars, the verdict and what was measured."""
    out = console()
    out.print(_ranked_table(summary, out))
    out.print()
    for lines, sides in further_tables(summary):
        for line in aligned(lines, sides):
            out.print(Text(line), soft_wrap=True)
        out.print()
    if summary["rows"]:
        out.print(recall_plot.text(summary, ascii_only=not draws_blocks(), room=out.width), markup=False)
        out.print()
    for sentence in tables.verdict_lines(summary):
        out.print(sentence, markup=False, style="bold")
    for line in column_importance.lines(summary):
        out.print(line, markup=False)
    for note in tables.about(summary):
        out.print(note, markup=False, style="red" if note.startswith("FAILED") else "dim")


def _ranked_table(summary: dict[str, Any], out: Console) -> Table:
    """The table with as many columns as the terminal has room for, the least important omitted first."""
    names, lines = tables.header(summary), tables.cells(summary)
    widths = [max(map(len, column)) for column in zip(names, *lines, strict=True)]
    shown = list(range(len(names)))
    while sum(widths[i] + 2 for i in shown) - 2 > out.width and len(shown) > ALWAYS:
        # from the right (seconds, ECE, ...), then the groups, and the twins last
        shown.remove(
            max(
                shown[ALWAYS:],
                key=lambda i: (names[i] != tables.VERSUS_TWIN and names[i].split()[0] not in tables.GROUPS, i),
            )
        )
    winners = set(summary["verdict"]["winners"]) if summary["verdict"] else set()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i in shown:
        table.add_column(names[i], justify="left" if i == 0 else "right", no_wrap=i > 0, overflow="fold")
    for row, cells in zip(summary["rows"], lines, strict=True):
        style = "green" if row["method"] in winners else "bold" if row["method"] == summary["reference"] else ""
        style = "dim" if context(row) else style
        table.add_row(*(Text(cells[i]) for i in shown), style=style)
    if len(shown) < len(names):
        missing = ", ".join(name for i, name in enumerate(names) if i not in shown)
        table.caption = f"no room for: {missing} (see comparison.md)"
    return table


def draws_blocks() -> bool:
    """Whether standard output can show block characters."""
    encoding = (sys.stdout.encoding or "ascii").lower()
    return encoding.replace("-", "") in ("utf8", "utf16", "cp65001")
