"""The terms that this page uses, each in a sentence."""

from __future__ import annotations

from collections.abc import Callable

from longtail.report import tables
from longtail.report.page.page import Page, Section
from longtail.report.page.templating import fill
from longtail.report.rows import context

Used = Callable[[Page], bool]


def _always(page: Page) -> bool:
    return True


def _compared(page: Page) -> bool:
    return page.summary["verdict"] is not None


TERMS: tuple[tuple[str, str, Used], ...] = (
    ("Balanced accuracy", "The mean over classes of the recall: every class counts the same.", _always),
    ("Recall of a class", "The share of its test examples that are recognised as it.", _always),
    (
        "Many, medium, few",
        "Groups of classes by their training examples, from the largest to the rarest; columns are mean recalls.",
        lambda page: bool(tables.shot_groups(page.summary)),
    ),
    ("Macro F1", "The mean over classes of the harmonic mean of precision and recall.",
     lambda page: page.summary["metric"] == "macro_f1"),
    ("Seed", "One training from other random numbers: another start, another order of the examples.",
     lambda page: not page.is_run),
    ("Reference", "The method that all others are compared with, on the same seeds and test examples.", _compared),
    (
        "Twin",
        "The plain method of the same model, where a method uses another model than the reference.",
        lambda page: tables.has_twins(page.summary),
    ),
    (
        "Simultaneous 95 % interval",
        "Intervals of all differences together: with 95 % probability every one of them holds its true difference. "
        "One that does not hold 0 is shown to be better, or worse.",
        _compared,
    ),
    ("Points", "Differences of two percentages: from 60 % to 65 % are 5 points.", _compared),
    ("ECE", "Expected calibration error: how far confidence is from the share of correct decisions.", _always),
    ("Context", "A row that is shown beside the methods, and is neither ranked nor part of the verdict.",
     lambda page: any(map(context, page.rows))),
)  # fmt: skip
"""Term, what it means, and whether a page uses it."""


def section(page: Page) -> Section:
    """The terms that are used here."""
    terms = [(name, text) for name, text, used in TERMS if used(page)]
    return Section("glossary", "Terms", fill("glossary.html", terms=terms))
