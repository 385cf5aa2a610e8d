"""The verdict in a sentence, what beats its twin, whether retraining was needed, what is gained and what it costs."""

from __future__ import annotations

from longtail.report import tables
from longtail.report.page.page import Page, Section
from longtail.report.page.templating import fill
from longtail.report.small_network import small_network

ONE_RUN = "No verdict: this is one run, and nothing was compared. longtail compare trains it beside its reference."


def section(page: Page) -> Section:
    """The sentences that the table of the command line has, too."""
    small = small_network(page.summary["data"].get("facts", {}), page.summary["recipe"])
    of_run = [ONE_RUN, *([] if small is None else [small])]
    first, *further = of_run if page.is_run else tables.verdict_lines(page.summary)
    first, *further = (line.replace(" -> ", " \u2192 ") for line in [first, *further])  # no line breaks within an arrow
    return Section("verdict", "Verdict", fill("verdict.html", first=first, further=further))
