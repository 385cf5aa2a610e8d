"""What an SVG of matplotlib shows: its texts, and its shapes by colour."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

SVG = "{http://www.w3.org/2000/svg}"


class Shape(NamedTuple):
    """A bar or a line: its points in the order in which they are drawn, y downward."""

    points: list[tuple[float, float]]
    style: str
    joined: bool
    """Whether any two points have a line between them."""

    @property
    def width(self) -> float:
        xs = [x for x, _ in self.points]
        return max(xs) - min(xs)

    @property
    def height(self) -> float:
        ys = [y for _, y in self.points]
        return max(ys) - min(ys)

    @property
    def colour(self) -> str:
        match = re.search(r"#[0-9a-f]{6}", self.style)
        assert match is not None
        return match[0]


def parsed(svg: str | None) -> ElementTree.Element:
    assert svg is not None
    return ElementTree.fromstring(svg)


def texts(svg: str | None) -> list[str]:
    return [(text.text or "").strip() for text in parsed(svg).iter(f"{SVG}text")]


def shapes(svg: str | None) -> list[Shape]:
    """Of what is drawn inside the axes, which clip it; the legend and the axes themselves are left out."""
    paths = [path for path in parsed(svg).iter(f"{SVG}path") if path.get("clip-path")]
    return [
        Shape([(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path.get("d", ""))],
              path.get("style", ""), "L" in path.get("d", "")) for path in paths
    ]  # fmt: skip


def bars(svg: str | None) -> list[Shape]:
    return [shape for shape in shapes(svg) if "fill: #" in shape.style]


def lines(svg: str | None) -> list[Shape]:
    """Without the grid and other straight lines of grey."""
    greys = ("#dddddd", "#555555")
    return [shape for shape in shapes(svg) if "fill: none" in shape.style and shape.colour not in greys]
