"""Scales, and the axes of a picture: ticks at round numbers, labels, the legend above."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from longtail.report.page.picture import LETTER, SHAPES, Picture, series


@dataclass(frozen=True)
class Scale:
    """Where a value stands in a picture: `low` at `start`, `high` at `end`, in between linear or in powers of ten.

    On a logarithmic scale values below `low` stand at its end: a class may have no example at all.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value."""
        low, high, value = (map(self._log, (self.low, self.high, value))) if self.log else (self.low, self.high, value)
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def _log(self, value: float) -> float:
        return math.log10(max(value, self.low))

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the scale: steps of 1, 2 or 5; powers of ten where it is logarithmic."""
        return _powers(self.low, self.high, most) if self.log else _steps(self.low, self.high, most)


def linear(values: Sequence[float], start: float, end: float, *, least: float = 1e-9) -> Scale:
    """A scale that holds all values and a little more."""
    low, high = min(values), max(values)
    room = 0.04 * max(high - low, least)
    return Scale(low - room, high + room, start, end)


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """A logarithmic scale that holds all values above 0 and a little more."""
    known = [value for value in values if value > 0] or [1.0]
    low, high = min(known), max(known)
    return Scale(low / 1.15, high * 1.15, start, end, log=True)


def _steps(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float, most: int) -> list[float]:
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        ticks = [f * 10.0**k for k in tens for f in factors if low <= f * 10.0**k <= high]
        if len(ticks) <= most + 2:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def draw_axes(
    picture: Picture, x: Scale, y: Scale, x_label: str, y_label: str, *, most: tuple[int, int] = (6, 5)
) -> None:
    """Grid, ticks and the two labels; y's stands above the axis, where it needs no turning."""
    left, right = sorted((x.start, x.end))
    top, bottom = sorted((y.start, y.end))
    for value in y.ticks(most[1]):
        picture.line((left, y.at(value)), (right, y.at(value)), "grid")
        picture.text((left - 8, y.at(value) + 4.5), number(value), "muted end")
    for value in x.ticks(most[0]):
        picture.line((x.at(value), bottom), (x.at(value), bottom + 5), "axis")
        picture.text((x.at(value), bottom + 20), number(value), "muted middle")
    picture.line((left, bottom), (right, bottom), "axis")
    picture.text(((left + right) / 2, bottom + 40), x_label, "middle")
    picture.text((0, top - 16), y_label)


def draw_legend(picture: Picture, names: Sequence[str], top: float, *, first: int = 0) -> float:
    """The names of series from the left, in lines; return where the next line would be.

    Args:
        picture: to draw on.
        names: of the series `first`, `first + 1`, ...
        top: the middle of its first line.
        first: the first series.
    """
    left = 6.0
    for i, name in enumerate(names, first):
        room = 22 + LETTER * cell_len(name)
        if left > 6 and left + room > picture.width:
            left, top = 6.0, top + 20
        picture.mark((left, top), f"mark {series(i)}", SHAPES[i % len(SHAPES)])
        picture.text((left + 11, top + 4.5), name)
        left += room + 8
    return top + 20


def number(value: float) -> str:
    """A tick's number, as in 0.5, 10 or 20,000."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.6g}"
