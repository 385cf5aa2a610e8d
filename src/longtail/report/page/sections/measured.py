"""What was measured, and how the marks of the tables are read."""

from __future__ import annotations

from longtail.report import further_tables, tables
from longtail.report.page.elements import paragraphs
from longtail.report.page.page import Page, Section


def section(page: Page) -> Section:
    """The lines below the command line's table, without those that other sections have."""
    elsewhere = {*tables.unfinished(page.summary), *further_tables.about_further_tables(page.summary)}
    lines = [line for line in tables.about(page.summary) if line not in elsewhere]
    if page.is_run:
        lines[1] = lines[1].partition(" vs ")[0]
    return Section("measured", "What was measured", paragraphs(lines))
