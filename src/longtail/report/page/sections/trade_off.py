"""What the rarest classes gain and the largest lose: recall of few against recall of many, a mark per method."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from longtail.report import tables
from longtail.report.page.axes import draw_axes, linear
from longtail.report.page.elements import figure
from longtail.report.page.page import Page, Row, Section
from longtail.report.page.picture import Picture
from longtail.report.page.sections.ranking import mark
from longtail.report.printable import shortened
from longtail.report.rows import context, percent

WIDTH, LEFT, RIGHT, TOP = 760.0, 40.0, 500.0, 38.0
LINE = 17.0
"""Between two names."""
LONGEST = 26
LOOKS = {
    "winner": ("mark good", "circle"),
    "reference": ("mark s0", "square"),
    "context": ("hollow s0", "diamond"),
    "": ("hollow s2", "circle"),
}


def section(page: Page) -> Section | None:
    """None where classes have no groups, or fewer than two rows have both recalls."""
    rows = [row for row in page.rows if row["mean"].get("few") is not None and row["mean"].get("many") is not None]
    if not tables.shot_groups(page.summary) or len(rows) < 2:
        return None
    caption = (
        "Mean recall of the rarest classes (few) against that of the largest (many), percent, a mark per method; "
        "better is up and to the right"
    )
    filled = f" Filled: shown to beat {page.reference}; hollow: not shown." if page.summary["verdict"] else ""
    content = figure(draw(page, rows, caption), f"{caption}.{filled}")
    return Section("trade-off", "What few gain and many lose", content)


def draw(page: Page, rows: Sequence[Row], caption: str) -> Markup:
    """Marks, with their names at the right, each joined to its mark."""
    places = {i: (100 * row["mean"]["many"], 100 * row["mean"]["few"]) for i, row in enumerate(rows)}
    words = "; ".join(
        f"{row['method']}: many {percent(row['mean']['many'])}, few {percent(row['mean']['few'])}" for row in rows
    )
    height = max(340.0, TOP + LINE * len(rows) + 60)
    picture = Picture("picture-trade-off", caption, f"{words}.", WIDTH, height)
    bottom = height - 50
    x = linear([many for many, _ in places.values()], LEFT, RIGHT - 30, least=5.0)
    y = linear([few for _, few in places.values()], bottom, TOP, least=5.0)
    draw_axes(picture, x, y, "recall of many, %", "recall of few, %")
    marks = {i: (x.at(many), y.at(few)) for i, (many, few) in places.items()}
    order = sorted(marks, key=lambda i: marks[i][1])
    heights = spread_out([marks[i][1] for i in order], LINE, TOP, bottom)
    for i, height_of_name in zip(order, heights, strict=True):
        picture.line(marks[i], (RIGHT - 6, height_of_name), "grid")
        picture.text((RIGHT, height_of_name + 4.5), shortened(rows[i]["method"], LONGEST) + _role(page, rows[i]))
    for i, row in enumerate(rows):
        css, shape = LOOKS[mark(page, row)]
        picture.mark(marks[i], css, shape)
    return picture.markup()


def _role(page: Page, row: Row) -> str:
    return " (reference)" if row["method"] == page.reference else " (context)" if context(row) else ""


def spread_out(heights: Sequence[float], least: float, top: float, bottom: float) -> list[float]:
    """Heights in rising order, moved as little as needed to be `least` apart and between top and bottom."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + least if placed else top))
    limit = bottom
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - least
    return placed
