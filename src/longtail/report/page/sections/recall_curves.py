"""Precision against recall of the rarest classes: the reference and the methods that lead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from longtail.report.page.axes import draw_legend
from longtail.report.page.elements import figure, table
from longtail.report.page.page import LONGEST, Page, Row, Section
from longtail.report.page.panels import WIDTH, Panel, draw_curve, draw_frame, panel, room
from longtail.report.page.picture import SHAPES, Picture, series
from longtail.report.printable import listed, shown
from longtail.report.rows import context, percent

LEADING = 3
"""Methods that are drawn beside the reference."""
HEIGHT = 170.0
Curve = dict[str, Any]


def section(page: Page) -> Section | None:
    """None where no row has curves, as where no rare class was tested."""
    rows, alike = _drawn(page)
    if not rows:
        return None
    names = list(rows[0]["curves"])
    about = (
        "Rows are listed by the probability that the method gives the class, before any rule of its own. The further "
        "right, the more of the class is on the list; the higher, the fewer of the list are of another class. Dashed: "
        f"the share of the class in the test part, which a list in any order has. {_seeds(page)}"
    )
    same = "".join(f" {listed(methods)} gives the probabilities of '{shown(first)}'." for first, methods in alike)
    picture = _picture(page, rows, names)
    return Section("curves", "Precision and recall of the rarest classes",
                   figure(picture, about + same, alternative=_table(rows, names)))  # fmt: skip


def _drawn(page: Page) -> tuple[list[Row], list[tuple[str, list[str]]]]:
    """The reference and the leading rows, and the methods among the leading that have the curves of one of these."""
    having = [row for row in page.rows if row.get("curves")]
    first = [row for row in having if row["method"] == page.reference]
    ranked = [row for row in having if row not in first and not context(row)]
    drawn: list[Row] = []
    alike: dict[str, list[str]] = {}
    for row in [*first, *ranked]:
        same = next((one["method"] for one in drawn if one["curves"] == row["curves"]), None)
        if same is not None:
            alike.setdefault(same, []).append(row["method"])
        elif len(drawn) < LEADING + 1:
            drawn.append(row)
    return drawn, list(alike.items())


def _seeds(page: Page) -> str:
    several = len(page.summary["seeds"]) > 1
    return "A curve is the mean over seeds: at each recall the mean of their precisions." if several else "One seed."


def _picture(page: Page, rows: Sequence[Row], names: Sequence[str]) -> Markup:
    methods = [shown(row["method"], longest=LONGEST) for row in rows]
    columns = min(len(names), 2)
    ends = ", ".join(f"{shown(name)}: {_areas(rows, name)}" for name in names)
    picture = Picture(
        "curves-picture", "Precision against recall of the rarest classes",
        f"One panel for each of {len(names)} classes. Average precision: {ends}.", WIDTH,
        room(len(names), columns, HEIGHT) + 50,
    )  # fmt: skip
    top = draw_legend(picture, methods, 12)
    picture.height = top + room(len(names), columns, HEIGHT)
    for i, name in enumerate(names):
        made = panel(i, columns, HEIGHT, (0, 100), (0, 100), top=top - 12)
        counts = dict(zip(page.summary["data"]["classes"], page.summary["data"]["class_counts"], strict=True))
        title = f"{shown(name, longest=30)} ({counts[name]:.6g} training examples)"
        draw_frame(picture, made, title, "recall, %; upward: precision, %", most=(5, 5))
        share = 100 * rows[0]["curves"][name]["share"]
        picture.line(made.at(0, share), made.at(100, share), "zero")
        for k, row in enumerate(rows):
            if name in row["curves"]:
                _draw_steps(picture, made, row["curves"][name], k, len(rows))
    return picture.markup()


def _draw_steps(picture: Picture, made: Panel, curve: Curve, index: int, count: int) -> None:
    """The steps of one curve, and its mark where the legend's shape is told from the others."""
    points: list[tuple[float, float | None]] = []
    before = 0.0
    for recall, precision in zip(curve["recall"], curve["precision"], strict=True):
        points += [(100 * before, 100 * precision), (100 * recall, 100 * precision)]
        before = recall
    draw_curve(picture, made, points, f"curve {series(index)}")
    wanted = (index + 0.5) / count
    k = next((k for k, recall in enumerate(curve["recall"]) if recall >= wanted), len(curve["recall"]) - 1)
    picture.mark(made.at(100 * wanted, 100 * curve["precision"][k]), f"mark {series(index)}",
                 SHAPES[index % len(SHAPES)])  # fmt: skip


def _areas(rows: Sequence[Row], name: str) -> str:
    known = [row for row in rows if name in row["curves"]]
    return ", ".join(f"{shown(row['method'])} {percent(row['curves'][name]['ap'])} %" for row in known)


def _table(rows: Sequence[Row], names: Sequence[str]) -> Markup:
    lines = [["method", *(shown(name, longest=24) for name in names)]]
    for row in rows:
        areas = [percent(row["curves"][name]["ap"]) if name in row["curves"] else "–" for name in names]
        lines.append([shown(row["method"], longest=LONGEST), *areas])
    lines.append(["share of the class", *(percent(rows[0]["curves"][name]["share"]) for name in names)])
    return table(lines, "<" + ">" * len(names), "Average precision of the rarest classes, percent: areas under curves")
