"""Recall against class size: the picture of a long tail, as text and as SVG."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len

from longtail.report.bars import WIDTH, grouped, label
from longtail.report.bars import bars as bars
from longtail.report.bars import bars_svg as bars_svg
from longtail.report.names import fitted, shown
from longtail.report.tables import percent

Summary = dict[str, Any]
LETTER, WIDEST = 0.085, 14.0
"""Inches: of a letter of a label, and of the widest picture."""


def series(summary: Summary) -> tuple[list[str], list[int], dict[str, list[float | None]]]:
    """Class names and sizes from the largest class to the smallest, and the recall of ce and the best other."""
    data, gain = summary["data"], summary["gain"]
    order = sorted(range(len(data["classes"])), key=lambda j: (-data["class_counts"][j], j))
    told = [summary["reference"], gain["method"]] if gain else [row["method"] for row in summary["rows"][:1]]
    rows = {row["method"]: row["recall"] for row in summary["rows"]}
    recall = {name: [rows[name][j] for j in order] for name in told if name in rows}
    return [data["classes"][j] for j in order], [data["class_counts"][j] for j in order], recall


def text(summary: Summary, *, ascii_only: bool = False) -> str:
    """Bars in the terminal, a line per class (per group of classes where there are many) and method."""
    names, sizes, recall = series(summary)
    if not recall:
        return ""
    full, half = ("#", "") if ascii_only else ("█", "▌")
    groups = grouped(len(names))
    labels = [label([names[j] for j in group], ascii_only=ascii_only) for group in groups]
    counts = [str(sizes[g[0]]) if len(g) == 1 else f"{sizes[g[0]]}-{sizes[g[-1]]}" for g in groups]
    wide = max(map(cell_len, [*labels, "class"]))
    size = max(map(len, [*counts, "examples"]))
    method = max(map(len, recall))
    lines = [f"{'class':<{wide}}  {'examples':>{size}}  recall, %"]
    for told, count, group in zip(labels, counts, groups, strict=True):
        for i, (name, values) in enumerate(recall.items()):
            left = f"{fitted(told, wide)}  {count:>{size}}" if i == 0 else " " * (wide + 2 + size)
            value = _mean([values[j] for j in group])
            steps = 0 if value is None else round(2 * WIDTH * value)
            bar = full * (steps // 2) + half * (steps % 2)
            lines.append(f"{left}  {name:<{method}} {bar:<{WIDTH}} {percent(value):>5}".rstrip())
    return "\n".join(lines)


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def svg(summary: Summary) -> str | None:
    """The same picture as SVG; None where matplotlib is not installed (longtail[report])."""
    with _silenced():
        return _drawn(*series(summary))


def _drawn(names: list[str], sizes: list[int], recall: dict[str, list[float | None]]) -> str | None:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure  # without pyplot: the user's backend and figures stay as they are
    except ImportError:
        return None
    if not recall:
        return None
    names = [shown(name) for name in names]
    # a fixed salt and no date: the same comparison gives the same file
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "longtail", "font.size": 10}):
        few = len(names) <= 30
        ticks, labels, wide = _labels(names, sizes, few=few)
        upright = wide > WIDEST
        figure = Figure(figsize=(9, 5) if upright else (max(wide, 7.5), 4.2), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(recall)
        for i, (name, values) in enumerate(recall.items()):
            heights = [100 * v if v is not None else 0 for v in values]
            places = [j + (i - (len(recall) - 1) / 2) * width for j in range(len(names))]
            axes.bar(places, heights, width, label=name, color=("#9aa5b1", "#d1495b")[i])
            for place, value in zip(places, values, strict=True):
                if value is None:
                    axes.text(place, 1, "–", ha="center")  # not measured, which is not a recall of 0
        # a name may hold dollars
        axes.set_xticks(ticks, labels, parse_math=False, rotation=90 if upright else 0)
        axes.set_xlabel("class and its number of training examples" if few else "training examples of the class")
        axes.set_ylabel("recall on the test part, %")
        axes.set_ylim(0, 100)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, ncols=len(recall), loc="lower left", bbox_to_anchor=(0, 1))
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


@contextmanager
def _silenced() -> Iterator[None]:
    """Without what matplotlib says of its cache and of letters that its font lacks: the SVG's reader has the font."""
    log = logging.getLogger("matplotlib")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
            yield
    finally:
        log.setLevel(before)


def _labels(names: list[str], sizes: list[int], *, few: bool) -> tuple[list[int], list[str], float]:
    """Which classes get a label, the labels, and the inches that they need side by side."""
    ticks = list(range(len(names))) if few else list(range(0, len(names), max(1, len(names) // 15)))
    labels = [f"{names[j]}\n{sizes[j]}" if few else str(sizes[j]) for j in ticks]
    longest = max(len(line) for label in labels for line in label.splitlines())
    wide = LETTER * (longest + 1) * len(ticks) + 1
    if wide > WIDEST:  # upright, then
        labels = [label.replace("\n", "  ") for label in labels]
    return ticks, labels, wide
