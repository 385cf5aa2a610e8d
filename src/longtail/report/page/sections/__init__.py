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
    confusion,
    cost,
    differences,
    findings,
    further,
    glossary,
    importance,
    learning,
    measured,
    next_steps,
    pseudo_labels,
    ranking,
    recall_curves,
    sets,
    trade_off,
    unfinished,
    verdict,
    weights,
)

SECTIONS: tuple[Callable[[Page], Section | None], ...] = (
    verdict.section,
    next_steps.section,
    unfinished.section,
    differences.section,
    ranking.section,
    trade_off.section,
    class_recall.section,
    recall_curves.section,
    confusion.section,
    importance.section,
    calibration.section,
    sets.section,
    further.section,
    pseudo_labels.section,
    learning.section,
    weights.section,
    cost.section,
    findings.section,
    measured.section,
    commands.section,
    glossary.section,
)
