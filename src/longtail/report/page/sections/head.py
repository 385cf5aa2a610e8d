"""The head of the page: the question, and in a few facts what it was asked of."""

from __future__ import annotations

from longtail.facts.messages import visible
from longtail.report import metric_words
from longtail.report.page.page import LONGEST, Page, Section, Summary
from longtail.report.page.templating import fill
from longtail.report.printable import listed, shown
from longtail.report.rows import context
from longtail.report.training_examples import training_examples


def head(page: Page) -> Section:
    """The title of the page and its facts."""
    summary, data = page.summary, page.summary["data"]
    name = shown(data["name"], longest=LONGEST)
    compared = [row["method"] for row in page.rows if not context(row) and row["method"] != page.reference]
    title = f"Which method helps on {name}?" if compared else f"{shown(page.reference, longest=LONGEST)} on {name}"
    facts = {
        "Data": f"{name}: {training_examples(summary)}; {sum(data['test_counts']):.9g} test examples",
        **({} if page.is_run else {"Task": summary.get("task", "supervised")}),
        "Judged by": metric_name(summary),
        **asked(summary),
        "Trained": trained(summary),
    }
    if compared:
        facts["Compared"] = f"{listed(compared, most=30)} with the reference '{shown(page.reference)}'"
    return Section("head", title, fill("facts.html", facts=facts))


def metric_name(summary: Summary) -> str:
    """The metric in words."""
    return visible(metric_words.label(summary))


def asked(summary: Summary) -> dict[str, str]:
    """By which rule all rows decide and under which prior, where that was asked for."""
    question = summary.get("question") or {}
    said = {"Decided for": question.get("decided_for"), "Prior": question.get("target_prior")}
    return {name: visible(text) for name, text in said.items() if text}


def trained(summary: Summary) -> str:
    """How often and for how long, as in "2 seeds, 5 epochs, last epoch"."""
    seeds, epochs = len(summary["seeds"]), summary["recipe"]["epochs"]
    folds = "" if summary.get("folds") is None else f"{summary['folds']} folds, "
    each = f"{seeds} seeds" if seeds != 1 else "1 seed"
    if summary.get("kind") == "run":
        each = f"seed {summary['seeds'][0]}"
    return f"{folds}{each}, {epochs} epoch{'s' * (epochs != 1)}, {summary['select']}"
