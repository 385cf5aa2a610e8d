"""Which classes are taken for which, by the reference and by the leader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from longtail.report.page.elements import joined, paragraphs, table
from longtail.report.page.page import LONGEST, Page, Row, Section
from longtail.report.printable import shortened, shown
from longtail.report.rows import context, percent

NAME = 16
"""Columns of a class in the head of a matrix."""
WORST = 3
"""Mistakes that are said in words below a matrix."""
RIGHT, WRONG = "33 98 154", "185 47 71"
"""Colours of cells, in front of the page's own: the text stays readable on them."""


def section(page: Page) -> Section | None:
    """None where no row says what was decided."""
    rows = _chosen(page)
    if not rows:
        return None
    seeds = "; means over seeds" if len(page.summary["seeds"]) > 1 else ""
    parts = [paragraphs([f"Decided {_rule(page)} on the test part{seeds}."])]
    for row in rows:
        parts.append(Markup("<h3>{}</h3>").format(shown(row["method"], longest=LONGEST)))
        parts.append(_matrix(page, row) if "matrix" in row["confusion"] else _pairs(row))
    return Section("confusion", "Which classes are taken for which", joined(parts))


def _rule(page: Page) -> str:
    """How all rows were decided, as the question of the comparison has it."""
    asked = page.summary.get("question") or {}
    if asked.get("decided_for"):
        return f"for {shown(asked['decided_for'], longest=LONGEST)}"
    if asked.get("target_prior"):
        return "for the highest probability under the target prior"
    return "by each method's own rule"


def _chosen(page: Page) -> list[Row]:
    """The reference, and the method that the verdict or else the ranking names first."""
    having = {row["method"]: row for row in page.rows if row.get("confusion")}
    gain = page.summary.get("gain")
    ranked = [method for method, row in having.items() if not context(row) and method != page.reference]
    leader = gain["method"] if gain else next(iter(ranked), None)
    return [having[method] for method in (page.reference, leader) if method in having]


def _matrix(page: Page, row: Row) -> Markup:
    counts: list[list[float]] = row["confusion"]["matrix"]
    order = sorted(range(len(counts)), key=lambda j: -page.summary["data"]["class_counts"][j])
    names = page.classes
    lines: list[list[Any]] = [["true class", "test", *(shortened(names[j], NAME) for j in order)]]
    for i in order:
        total = sum(counts[i])
        cells = [_cell(counts[i][j] / total, right=i == j) if total else "–" for j in order]
        lines.append([names[i], f"{total:.6g}", *cells])
    caption = (
        f"{shown(row['method'], longest=LONGEST)}: percent of the test examples of the true class (line) that are "
        "decided as a class (column); from the largest class to the smallest"
    )
    said = _said(names, counts)
    return joined([table(lines, "<" + ">" * (len(names) + 1), caption), paragraphs([said] if said else [])])


def _cell(share: float, *, right: bool) -> Markup:
    """The share in percent, the darker the larger; exact zeros are empty of colour and short."""
    if share == 0:
        return Markup("0")
    strength = f"{0.10 + 0.35 * share:.2f}"
    colour = RIGHT if right else WRONG
    return Markup('<span style="background:rgb({} / {});padding:.1rem .25rem">{}</span>').format(
        colour, strength, percent(share)
    )


def _said(names: Sequence[str], counts: Sequence[Sequence[float]]) -> str:
    """The most frequent mistakes by their share of the true class."""
    totals = [sum(line) for line in counts]
    wrong = [
        (counts[i][j] / totals[i], i, j)
        for i in range(len(counts)) for j in range(len(counts)) if i != j and counts[i][j] > 0
    ]  # fmt: skip
    worst = sorted(wrong, key=lambda one: -one[0])[:WORST]
    texts = [f"'{names[i]}' as '{names[j]}' {percent(share)} % of {totals[i]:.6g}" for share, i, j in worst]
    return f"Most frequent mistakes: {', '.join(texts)}." if texts else "No mistake."


def _pairs(row: Row) -> Markup:
    lines = [["true class", "decided as", "percent of the class", "test examples"]]
    lines += [
        [
            shown(one["true"], longest=LONGEST), shown(one["predicted"], longest=LONGEST), percent(one["share"]),
            f"{one['count']:.6g}",
        ]
        for one in row["confusion"]["pairs"]
    ]  # fmt: skip
    caption = (
        f"{shown(row['method'], longest=LONGEST)}: the worst {len(lines) - 1} mistakes, by the share of the class that "
        "is surely lost (lower end of its 95 % interval)"
    )
    return table(lines, "<<>>", caption)
