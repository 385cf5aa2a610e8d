"""Small multiples: panels of one size in a grid inside one picture, each with its title, ticks and scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from longtail.report.page.axes import Scale, number
from longtail.report.page.picture import LETTER, Picture
from longtail.report.printable import shortened

WIDTH = 720.0
"""Of a picture of panels."""
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 34.0, 44.0
"""Room around what is drawn in a panel: its ticks, its title, its label below."""


@dataclass(frozen=True)
class Panel:
    """A panel inside a picture: `x` and `y` are its scales."""

    x: Scale
    y: Scale

    @property
    def width(self) -> float:
        """Of what is drawn."""
        return self.x.end - self.x.start

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point."""
        return self.x.at(x), self.y.at(y)


def room(count: int, columns: int, height: float) -> float:
    """The height of so many panels, each with its title and its ticks."""
    return math.ceil(count / columns) * (TOP + height + BOTTOM)


def panel(
    index: int, columns: int, height: float, x: tuple[float, float], y: tuple[float, float], *,
    top: float = 0.0, right: float = RIGHT,
) -> Panel:  # fmt: skip
    """The panel at a place of the grid.

    Args:
        index: from the upper left, line by line.
        columns: of the grid.
        height: of what is drawn.
        x, y: the ends of its scales.
        top: where the first line of panels begins in the picture.
        right: room at the right, where there are ticks, too.
    """
    line, column = divmod(index, columns)
    wide = WIDTH / columns
    left, upper = column * wide + LEFT, top + line * (TOP + height + BOTTOM) + TOP
    return Panel(Scale(*_apart(x), left, (column + 1) * wide - right), Scale(*_apart(y), upper + height, upper))


def _apart(ends: tuple[float, float]) -> tuple[float, float]:
    """Two ends with room between them; of one value alone a little around it."""
    low, high = ends
    return ends if high > low else (low - max(abs(low), 1.0) / 2, high + max(abs(high), 1.0) / 2)


def draw_frame(
    picture: Picture, made: Panel, title: str, x_label: str, *, whole: bool = False, most: tuple[int, int] = (4, 4)
) -> None:
    """Title, grid, ticks and the label below; `whole` has ticks of x at whole numbers alone."""
    (left, right), (bottom, top) = (made.x.start, made.x.end), (made.y.start, made.y.end)
    picture.text((left - LEFT + 4, top - 14), shortened(title, int((made.width + LEFT) / LETTER)), "strong")
    for value in made.y.ticks(most[1]):
        picture.line((left, made.y.at(value)), (right, made.y.at(value)), "grid")
        picture.text((left - 6, made.y.at(value) + 4.5), number(value), "muted end")
    for value in made.x.ticks(most[0]):
        if not (whole and value % 1):
            picture.line((made.x.at(value), bottom), (made.x.at(value), bottom + 4), "axis")
            picture.text((made.x.at(value), bottom + 18), number(value), "muted middle")
    picture.line((left, bottom), (right, bottom), "axis")
    picture.text(((left + right) / 2, bottom + 34), x_label, "muted middle")


def draw_curve(picture: Picture, made: Panel, points: Sequence[tuple[float, float | None]], css: str) -> None:
    """A line through points; where a value is unknown it is broken, and a value alone is a mark."""
    piece: list[tuple[float, float]] = []
    for x, y in [*points, (0.0, None)]:
        if y is not None:
            piece.append(made.at(x, y))
        elif piece:
            if len(piece) > 1:
                picture.curve(piece, css)
            else:
                picture.mark(piece[0], css.replace("curve", "mark").replace("thin", "mark"), size=2.5)
            piece = []
