"""The whole page from its sections."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from longtail.report.page.page import Page, Summary
from longtail.report.page.sections import SECTIONS, head
from longtail.report.page.templating import fill, style
from longtail.version import __version__


def render(summary: Summary, folder: Path | None, ignore: Iterable[str]) -> str:
    """Return the page as HTML; see `longtail.report.page.render`."""
    page = Page(summary, folder, frozenset(ignore))
    made = [section(page) for section in SECTIONS]
    sections = [section for section in made if section is not None]
    return str(fill("page.html", head=head.head(page), sections=sections, style=style(), version=__version__)) + "\n"
