"""The ranked table: the columns and the marks of the command line's."""

from __future__ import annotations

from longtail.report import tables
from longtail.report.page.elements import table
from longtail.report.page.page import Page, Row, Section
from longtail.report.page.sections.head import metric_name
from longtail.report.rows import context


def section(page: Page) -> Section | None:
    """None where no run finished."""
    if not page.rows:
        return None
    lines = [tables.header(page.summary), *tables.cells(page.summary)]
    caption = f"Methods by {metric_name(page.summary)}, best first; percent, mean ± standard deviation over seeds"
    marks = [mark(page, row) for row in page.rows]
    content = table(lines, "<" + ">" * (len(lines[0]) - 1), caption, classes=marks)
    return Section("methods", "Scores" if page.is_run else "Methods, best first", content)


def mark(page: Page, row: Row) -> str:
    """The CSS class of a row: "winner", "reference", "context" or none."""
    winners = page.summary["verdict"]["winners"] if page.summary["verdict"] else []
    if context(row):
        return "context"
    return "winner" if row["method"] in winners else "reference" if row["method"] == page.reference else ""
