"""Class sizes as bars, in the terminal and as SVG: what `longtail inspect` draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from rich.cells import cell_len

from longtail.report.printable import fitted, shown

MOST_LINES = 12
WIDTH = 30
LABEL = 24
"""Columns of a label in the terminal at most."""
MOST_NAMED = 40
"""Classes up to which the SVG gives each a bar with its name; beyond, ranks are put into bins."""
BINS = 100
COLOURS = {"many": "#2f6690", "medium": "#81a4cd", "few": "#d1495b", None: "#2f6690"}
FONT = "font-family='system-ui, sans-serif'"

Drawing = list[str]


def grouped(count: int) -> list[list[int]]:
    """Ranks 0..count-1, each alone where a line for each is no more than MOST_LINES, else in ten runs."""
    if count <= MOST_LINES:
        return [[j] for j in range(count)]
    edges = [round(i * count / 10) for i in range(11)]
    return [list(range(a, b)) for a, b in pairwise(edges)]


def bars(names: list[str], counts: list[int], *, ascii_only: bool = False) -> str:
    """Class sizes as bars, largest first, a line per class or per run of classes where there are many."""
    order = _ranked(counts)
    groups = [[order[i] for i in group] for group in grouped(len(order))]
    mark = "#" if ascii_only else "█"
    labels = [label([names[j] for j in group], ascii_only=ascii_only) for group in groups]
    wide = max(map(cell_len, labels))
    lines = []
    for text, group in zip(labels, groups, strict=True):
        mean = sum(counts[j] for j in group) / len(group)
        bar = mark * max(1, round(WIDTH * mean / max(counts))) if mean else ""
        sizes = f"{counts[group[0]]:g}" if len(group) == 1 else f"{counts[group[0]]:g}-{counts[group[-1]]:g}"
        lines.append(f"{fitted(text, wide)}  {bar:<{WIDTH}} {sizes}")
    return "\n".join(lines)


def label(names: Sequence[str], *, ascii_only: bool = False) -> str:
    """The name of a class, or of the first and last class of a run of them, in no more than LABEL columns."""
    ends = [names[0]] if len(names) == 1 else [names[0], names[-1]]
    room = LABEL if len(ends) == 1 else (LABEL - len(" .. ")) // 2
    return " .. ".join(_cut(name, room, ascii_only) for name in ends)


def _cut(name: str, room: int, ascii_only: bool) -> str:
    text = shown(name, longest=room, ascii_only=ascii_only)
    return text if cell_len(text) <= room else fitted(text, room, ascii_only=ascii_only)


def bars_svg(
    names: list[str], counts: list[int], title: str, groups: Mapping[str, Sequence[int]] | None = None, rule: str = ""
) -> str:
    """Class sizes as an SVG picture, largest first; the same input gives the same bytes, and no script can enter.

    Up to MOST_NAMED classes each has a bar, its name and its size. Beyond, BINS bins of neighbouring ranks stand on
    a logarithmic axis, each from its smallest (full colour) to its largest class (pale).

    Args:
        names, counts: of the C classes.
        title: one line above.
        groups: the class indices of "many", "medium" and "few", which give the colours; None draws one.
        rule: in words, how the groups came about.
    """
    group = {j: g for g, members in (groups or {}).items() for j in members}
    order = _ranked(counts)
    draw = _rows if len(order) <= MOST_NAMED else _ranks
    body, width, height = draw(names, counts, order, group)
    present = [g for g in ("many", "medium", "few") if g in group.values()]
    key, x = [], 16
    for g in present:
        text = f"{g}: {sum(v == g for v in group.values())} classes"
        key += [f"<rect x='{x}' y='36' width='10' height='10' fill='{COLOURS[g]}'/>", _text(x + 14, 45, text)]
        x += 34 + 7 * len(text)
    if present:
        told = f"({shown(rule, longest=80)})"
        key.append(_text(x, 45, told, fill="#777"))
        x += 7 * len(told)
    heading = shown(title, longest=100)
    width = max(width, 32 + 8 * cell_len(heading), x + 16)
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
            f"height='{height}' {FONT} font-size='12'>",
            f"<rect width='{width}' height='{height}' fill='white'/>",
            _text(16, 22, heading, extra="font-weight='bold' font-size='13'"),
            *key, *body, "</svg>", "",
        ]
    )  # fmt: skip


def _rows(names: list[str], counts: list[int], order: list[int], group: dict[int, Any]) -> tuple[Drawing, int, int]:
    """A horizontal bar for each class."""
    labels = [shown(names[j], longest=28) for j in order]
    left = 28 + max(7 * cell_len(label) for label in labels)
    out, top, length = [], 62, 420
    for i, (j, label) in enumerate(zip(order, labels, strict=True)):
        y, size = top + 20 * i, length * counts[j] / max(*counts, 1)
        size = max(size, 1.0) if counts[j] else 0.0  # what is there is seen
        out += [
            _text(left - 8, y + 12, label, anchor="end"),
            f"<rect x='{left}' y='{y}' width='{size:.1f}' height='15' fill='{COLOURS[group.get(j)]}'/>",
            _text(left + size + 6, y + 12, f"{counts[j]:,g}" if counts[j] % 1 else f"{counts[j]:,.0f}", fill="#555"),
        ]
    return out, left + length + 90, top + 20 * len(order) + 14


def _ranks(names: list[str], counts: list[int], order: list[int], group: dict[int, Any]) -> tuple[Drawing, int, int]:
    """Bins of ranks on a logarithmic axis."""
    left, top, wide, high = 70, 84, 640, 280
    bins = min(BINS, len(order))
    edges = [round(i * len(order) / bins) for i in range(bins + 1)]
    decades = math.log10(max(*counts, 10))
    # a class of one example stands a little above the ground, an empty one on it
    ground = -0.2

    def height(count: float) -> float:
        return high * max(0.0, math.log10(count) - ground) / (decades - ground) if count > 0 else 0.0

    out = []
    for power in range(math.floor(decades) + 1):
        y = top + high - height(10**power)
        out += [
            f"<line x1='{left}' x2='{left + wide}' y1='{y:.1f}' y2='{y:.1f}' stroke='#ddd'/>",
            _text(left - 8, y + 4, f"{10**power:,}", anchor="end", fill="#555"),
        ]
    step = wide / bins
    for i, (a, b) in enumerate(pairwise(edges)):
        x, colour = left + i * step, COLOURS[group.get(order[(a + b) // 2])]
        low, up = height(counts[order[b - 1]]), height(counts[order[a]])
        for size, opacity in ((up, 0.35), (low, 1)):
            out.append(
                f"<rect x='{x:.1f}' y='{top + high - size:.1f}' width='{step * 0.86:.1f}' height='{size:.1f}' "
                f"fill='{colour}' fill-opacity='{opacity}'/>"
            )
    ends = [(left, "start", order[0], "largest"), (left + wide, "end", order[-1], "smallest")]
    for x, anchor, j, what in ends:
        text = f"{what}: {shown(names[j], longest=28)} ({counts[j]:,g})"
        out.append(_text(x, top + high + 18, text, anchor=anchor))
    several = f", {len(order) / bins:.3g} to a bar: smallest (full) to largest (pale)" if len(order) > bins else ""
    middle = f"{len(order):,} classes by size{several}"
    out.append(_text(left + wide / 2, top + high + 38, middle, anchor="middle", fill="#555"))
    out.append(_text(16, top - 12, "examples, logarithmic", fill="#555"))
    return out, left + wide + 30, top + high + 52


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = "#222", extra: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{fill}' {extra}>{escape(text)}</text>"


def _ranked(counts: list[int]) -> list[int]:
    return sorted(range(len(counts)), key=lambda j: (-counts[j], j))
