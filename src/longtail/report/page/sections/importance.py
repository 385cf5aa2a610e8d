"""Which columns a method depends on: what each class loses where the cells of one column are moved between rows."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from longtail.report import column_importance as found
from longtail.report.metric_words import is_fraction, label
from longtail.report.page.elements import joined, paragraphs, table
from longtail.report.page.page import LONGEST, Page, Row, Section
from longtail.report.printable import shortened, shown

COLUMNS, CLASSES = 15, 8
"""Lines and classes of a table."""
NAME = 16
"""Columns of a class in the head of a table."""
WORSE, BETTER = "185 47 71", "33 98 154"
"""Colours of cells, in front of the page's own: the text stays readable on them."""


def section(page: Page) -> Section | None:
    """None where importance was not measured."""
    rows = [row for row in page.rows if row.get("importance")]
    if not rows:
        return None
    parts = [paragraphs([*_about(page, rows[0]["importance"]), found.CAVEAT])]
    for row in sorted(rows, key=lambda row: row["method"] != page.reference):
        parts.append(Markup("<h3>{}</h3>").format(shown(row["method"], longest=LONGEST)))
        parts.append(_table(page, row))
        if said := found.without_effect(row["importance"]):
            parts.append(paragraphs([said]))
    return Section("importance", "Which columns each class depends on", joined(parts))


def _about(page: Page, entry: dict[str, Any]) -> list[str]:
    seeds = f", mean over {entry['seeds']} seeds" if entry["seeds"] > 1 else ""
    return [
        f"How much {label(page.summary)} and the recall of each class fall where the cells of one column are moved at "
        f"random between the test rows ({entry['repeats']} times{seeds}), in "
        f"{'points' if is_fraction(page.summary) else 'points of recall'}; the model is not trained again. After "
        "± stands one standard error over the choice of test rows; a fall of less than two stands in brackets.",
    ]


def _table(page: Page, row: Row) -> Markup:
    entry = row["importance"]
    counts = page.summary["data"]["class_counts"]
    order = sorted(range(len(counts)), key=lambda j: counts[j])
    rarest = [j for j in order if any(one["recall"][j] is not None for one in entry["columns"])][:CLASSES]
    points = is_fraction(page.summary)
    head = ["column", shown(label(page.summary), longest=LONGEST), *(shortened(page.classes[j], NAME) for j in rarest)]
    lines: list[list[Any]] = [head]
    largest = max((abs(v) for one in entry["columns"] for v in one["recall"] if v is not None), default=0.0)
    for one in entry["columns"][:COLUMNS]:
        cells = [_cell(one["recall"][j], one["recall_se"][j], largest) for j in rarest]
        lines.append([shown(one["column"], longest=LONGEST), found.of_metric(one, points=points), *cells])
    return table(lines, "<" + ">" * (len(rarest) + 1), _caption(row, len(rarest), len(counts)))


def _caption(row: Row, classes: int, known: int) -> str:
    total = len(row["importance"]["columns"])
    first = f"the {COLUMNS} columns of {total} that it" if total > COLUMNS else "the columns, those first that it"
    of = "all classes" if classes == known else f"the {classes} rarest of {known} classes"
    name = shown(row["method"], longest=LONGEST)
    return f"{name}: {first} depends on most; recall of {of}, the rarest first"


def _cell(fall: float | None, error: float | None, largest: float) -> Markup | str:
    """The fall in points, the darker the larger; in brackets where it may be chance."""
    text = found.of_class(fall, error)
    if fall is None or round(100 * fall, 1) == 0 or largest == 0:
        return text
    strength = f"{0.08 + 0.37 * abs(fall) / largest:.2f}"
    return Markup('<span style="background:rgb({} / {});padding:.1rem .25rem">{}</span>').format(
        WORSE if fall > 0 else BETTER, strength, text
    )
