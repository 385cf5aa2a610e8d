"""The parts of the page, each in one file: `section(page)` makes it, or None where there is nothing to say.

The head of the page (`head`) stands before them. The tuple has the order of reading.
"""

from __future__ import annotations

from collections.abc import Callable

from longtail.report.page.page import Page, Section
from longtail.report.page.sections import (
    calibration,
    class_recall,
    commands,
    differences,
    findings,
    further,
    glossary,
    measured,
    ranking,
    sets,
    trade_off,
    unfinished,
    verdict,
)

SECTIONS: tuple[Callable[[Page], Section | None], ...] = (
    verdict.section,
    unfinished.section,
    differences.section,
    ranking.section,
    trade_off.section,
    class_recall.section,
    calibration.section,
    sets.section,
    further.section,
    findings.section,
    measured.section,
    commands.section,
    glossary.section,
)
