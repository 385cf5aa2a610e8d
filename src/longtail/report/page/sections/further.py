"""The tables that only some tasks have: probes and features of encoders, wrong labels that were fitted."""

from __future__ import annotations

from longtail.report import feature_measures, further_tables, probes, wrong_labels
from longtail.report.page.elements import joined, paragraphs, table
from longtail.report.page.page import Page, Section

CAPTIONS = {
    probes.HEADER: "Probes of every encoder, percent",
    feature_measures.HEADER: "Features of every encoder",
    wrong_labels.HEADER: "Wrong training labels that each method fitted, percent",
}


def section(page: Page) -> Section | None:
    """None where the task has no such table."""
    made = further_tables.further_tables(page.summary)
    if not made:
        return None
    tables = [table(lines, sides, CAPTIONS[tuple(lines[0])]) for lines, sides in made]
    about = paragraphs(further_tables.about_further_tables(page.summary))
    return Section("further", "Encoders and labels", joined([*tables, about]))
