"""Runs that failed, and runs that were not begun."""

from __future__ import annotations

from longtail.report import tables
from longtail.report.page.page import Page, Section
from longtail.report.page.templating import fill


def section(page: Page) -> Section | None:
    """None where every run finished."""
    lines = tables.unfinished(page.summary)
    return Section("unfinished", "Failed and missing runs", fill("alert.html", lines=lines)) if lines else None
