"""Where instance weights act: the average weight of each class, epoch by epoch, as SVG. Reads records only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from longtail.facts import json_documents
from longtail.facts.files import write_bytes
from longtail.report.class_size_plot import FONT, grouped
from longtail.report.printable import shown

Record = dict[str, Any]
KEY = "mean_weights"
"""In a record: the average instance weight of each class in that epoch, None for a class without examples."""

WAY_OUT = "run the same command again"

LARGEST, SMALLEST = (0x2F, 0x66, 0x90), (0xD1, 0x49, 0x5B)
LEFT, TOP, WIDE, HIGH = 60, 52, 560, 260


def write_plot(folder: Path) -> Path | None:
    """Draw a finished run's weights into its folder as weights.svg; None where it had none.

    Raises:
        OSError: the folder cannot be written.
    """
    config, lines = folder / "config.json", folder / "metrics.jsonl"
    if not (config.exists() and lines.exists()):  # folds: the runs stand below
        return None
    told, records = json_documents.read(config, WAY_OUT), json_documents.read_lines(lines, WAY_OUT)
    data = told["data"]
    title = f"{told['method']} on {data['name']}, seed {told['seed']}"
    picture = weights_svg(records, data["classes"], data["class_counts"], title)
    if picture is None:
        return None
    drawn, content = folder / "weights.svg", picture.encode()
    if not (drawn.exists() and drawn.read_bytes() == content):  # a finished run may be read-only
        write_bytes(drawn, content)
    return drawn


def weights_svg(records: Sequence[Record], names: Sequence[str], counts: Sequence[float], title: str) -> str | None:
    """A line per class, from the largest (blue) to the smallest (red); per tenth of the classes where they are many.

    Args:
        records: of one training, in order, as metrics.jsonl has them.
        names, counts: of the C classes.
        title: one line above.

    Returns:
        the picture, the same bytes for the same input; None where no epoch had instance weights.
    """
    found = [record.get(KEY) for record in records]
    if not any(found):
        return None
    order = sorted(range(len(counts)), key=lambda j: (-counts[j], j))
    groups = [[order[i] for i in group] for group in grouped(len(order))]
    lines = [[_mean(values, group) for values in found] for group in groups]
    span = _span([value for line in lines for value in line if value is not None])
    labels = [
        shown(names[g[0]], longest=20) + (f" .. {shown(names[g[-1]], longest=20)}" if g[1:] else "") for g in groups
    ]
    sizes = [f"{counts[g[0]]:g}" if not g[1:] else f"{counts[g[0]]:g}-{counts[g[-1]]:g}" for g in groups]
    width = LEFT + WIDE + 40 + 7 * max(len(a) + len(b) + 3 for a, b in zip(labels, sizes, strict=True))
    height = max(TOP + HIGH + 50, TOP + 18 * len(groups) + 40)
    body = [*_axes(records, span)]
    cut = "; the axis does not start at 0" if span.low else ""
    for i, line in enumerate(lines):
        colour = _colour(i / max(len(lines) - 1, 1))
        body += _line(line, span, colour)
        y = TOP + 18 * i
        body += [
            f"<rect x='{LEFT + WIDE + 16}' y='{y}' width='10' height='10' fill='{colour}'/>",
            _text(LEFT + WIDE + 32, y + 9, f"{labels[i]} ({sizes[i]})"),
        ]
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
            f"height='{height}' {FONT} font-size='12'>",
            f"<rect width='{width}' height='{height}' fill='white'/>",
            _text(16, 22, shown(title, longest=100), extra="font-weight='bold' font-size='13'"),
            _text(16, TOP - 12, f"average weight of a class, classes by training examples{cut}", fill="#555"),
            *body, "</svg>", "",
        ]
    )  # fmt: skip


class Span(NamedTuple):
    """What the axis of weights shows."""

    low: float
    high: float


def _span(values: Sequence[float]) -> Span:
    """1 and all values; from 0 on, unless they are so close together that nothing would be seen."""
    low, high = min(1.0, *values), max(1.0, *values)
    if low < high / 2:
        return Span(0.0, high)
    room = 0.05 * max(high - low, 0.02)
    return Span(low - room, high + room)


def _axes(records: Sequence[Record], span: Span) -> list[str]:
    """Levels, the line at 1 (where plain training is), where stages begin, and the epochs."""
    out = []
    for level in sorted({1.0, *_levels(span)}):
        y = _y(level, span)
        stroke = "#777" if level == 1 else "#ddd"
        out.append(f"<line x1='{LEFT}' x2='{LEFT + WIDE}' y1='{y:.1f}' y2='{y:.1f}' stroke='{stroke}'/>")
        out.append(_text(LEFT - 8, y + 4, f"{level:g}", anchor="end", fill="#555"))
    for i, record in enumerate(records):
        if i and record["stage"] != records[i - 1]["stage"]:
            x = (_x(i, len(records)) + _x(i - 1, len(records))) / 2
            out.append(
                f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{TOP}' y2='{TOP + HIGH}' stroke='#777' stroke-dasharray='4'/>"
            )
            out.append(_text(x + 4, TOP + 12, shown(str(record["stage"])), fill="#555"))
    for i, anchor in {0: "start", len(records) - 1: "end"}.items():
        out.append(_text(_x(i, len(records)), TOP + HIGH + 18, f"epoch {i + 1}", anchor=anchor, fill="#555"))
    return out


def _levels(span: Span) -> list[float]:
    """Round numbers within the span, four or five."""
    for step in (step * 10.0**power for power in range(-4, 300) for step in (1, 2, 5)):
        if (span.high - span.low) / step <= 5:
            return [step * i for i in range(math.ceil(span.low / step), math.floor(span.high / step) + 1)]
    return []


def _line(values: Sequence[float | None], span: Span, colour: str) -> list[str]:
    """Pieces of a line, broken where there is no value; a point alone is drawn as one."""
    pieces: list[list[str]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{_x(i, len(values)):.1f},{_y(value, span):.1f}")
    out = []
    for piece in filter(None, pieces):
        if len(piece) == 1:
            x, y = piece[0].split(",")
            out.append(f"<circle cx='{x}' cy='{y}' r='2' fill='{colour}'/>")
        else:
            out.append(f"<polyline points='{' '.join(piece)}' fill='none' stroke='{colour}' stroke-width='1.6'/>")
    return out


def _mean(values: Sequence[float | None] | None, group: Sequence[int]) -> float | None:
    known = [v for j in group if values is not None and (v := values[j]) is not None]
    return sum(known) / len(known) if known else None


def _x(i: int, count: int) -> float:
    return LEFT + WIDE * i / max(count - 1, 1)


def _y(value: float, span: Span) -> float:
    return TOP + HIGH * (1 - (value - span.low) / (span.high - span.low))


def _colour(share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(LARGEST, SMALLEST, strict=True))


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = "#222", extra: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{fill}' {extra}>{escape(text)}</text>"
