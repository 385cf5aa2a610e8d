"""The ranked table: the columns and the marks of the command line's."""

from __future__ import annotations

from longtail.report import metric_words, tables
from longtail.report.page.elements import table
from longtail.report.page.page import Page, Row, Section
from longtail.report.page.sections.head import metric_name
from longtail.report.page.templating import fill
from longtail.report.rows import context


def section(page: Page) -> Section | None:
    """None where no run finished."""
    if not page.rows:
        return None
    lines = [tables.header(page.summary), *tables.cells(page.summary)]
    caption = f"Methods by {metric_name(page.summary)}, best first; percent"
    if not metric_words.is_fraction(page.summary):
        caption = f"Methods by {metric_name(page.summary)}, best first; the other columns in percent"
    if len(page.summary["seeds"]) > 1:
        caption += ", mean ± standard deviation over seeds"
    if page.is_run:
        lines, caption = _without_empty_columns(lines), "Scores on the test part, percent"
    marks = [mark(page, row) for row in page.rows]
    content = table(lines, "<" + ">" * (len(lines[0]) - 1), caption, classes=marks)
    if "winner" in marks:
        content += fill("note.html", text=f"Bold lines: shown to beat {page.reference}. Marks are explained below.")
    return Section("methods", "Scores" if page.is_run else "Methods, best first", content)


def mark(page: Page, row: Row) -> str:
    """The CSS class of a row: "winner", "reference", "context" or none."""
    winners = page.summary["verdict"]["winners"] if page.summary["verdict"] else []
    if context(row):
        return "context"
    return "winner" if row["method"] in winners else "reference" if row["method"] == page.reference else ""


def _without_empty_columns(lines: list[list[str]]) -> list[list[str]]:
    """A single run has no difference to itself."""
    kept = [i for i in range(len(lines[0])) if any(line[i] for line in lines[1:])]
    return [[line[i] for i in kept] for line in lines]
