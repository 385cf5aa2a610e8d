"""Recall against class size: the picture of a long tail, as text and as SVG."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len

from longtail.report import small_classes
from longtail.report.class_size_plot import WIDTH, grouped, label
from longtail.report.class_size_plot import bars as bars
from longtail.report.class_size_plot import bars_svg as bars_svg
from longtail.report.printable import fitted, shown
from longtail.report.rows import context, percent

Summary = dict[str, Any]
PALE = 0.45
"""Opacity of a bar that rests on few test examples."""
COLOURS = ("#9aa5b1", "#d1495b", "#2f6690", "#e0a458", "#4a7c59")
"""Of the reference, the best method, and what is context."""
SHORTEST = 10
"""Columns of a bar in a narrow terminal."""
LETTER, WIDEST = 0.085, 14.0
"""Inches: of a letter of a label, and of the widest picture."""


def ranked(summary: Summary) -> list[int]:
    """The classes from the largest to the smallest."""
    counts = summary["data"]["class_counts"]
    return sorted(range(len(counts)), key=lambda j: (-counts[j], j))


def series(summary: Summary) -> tuple[list[str], list[int], dict[str, list[float | None]]]:
    """Class names and sizes, largest class first, and recalls: of the reference, the best other and what is context."""
    data, gain, order = summary["data"], summary["gain"], ranked(summary)
    told = [summary["reference"], gain["method"]] if gain else [row["method"] for row in summary["rows"][:1]]
    told += [row["method"] for row in summary["rows"] if context(row) and row["method"] not in told]
    rows = {row["method"]: row["recall"] for row in summary["rows"]}
    recall = {name: [rows[name][j] for j in order] for name in told if name in rows}
    return [data["classes"][j] for j in order], [data["class_counts"][j] for j in order], recall


def text(summary: Summary, *, ascii_only: bool = False, room: int | None = None) -> str:
    """Bars in the terminal, a line per class (per group of classes where there are many) and method.

    Where classes have few test examples their number is shown, they are marked, and their recalls have intervals.

    Args:
        summary: of the comparison.
        ascii_only: no block characters.
        room: columns of the terminal; the bars become shorter where they do not fit.
    """
    names, sizes, recall = series(summary)
    if not recall:
        return ""
    order, few = ranked(summary), small_classes.small_classes(summary)
    full, half = ("#", "") if ascii_only else ("█", "▌")
    mark = small_classes.PLAIN_MARK if ascii_only else small_classes.MARK
    groups = grouped(len(names))
    labels = [label([names[j] for j in group], ascii_only=ascii_only) for group in groups]
    columns = [_column("examples", [_span([sizes[j] for j in group], down=True) for group in groups])]
    if few:
        counts = _column(
            "tested", [_span([small_classes.tested(summary)[order[j]] for j in group]) for group in groups]
        )
        ends = [mark if few & {order[j] for j in group} else " " for group in groups]
        columns.append([f"{count} {end}" for count, end in zip(counts, (" ", *ends), strict=True)])
    wide = max(map(cell_len, [*labels, "class"]))
    heads = ["  ".join(cells) for cells in zip(*columns, strict=True)]
    method = max(map(len, recall))
    span = 10 if few else 0
    taken = wide + 2 + len(heads[0]) + 2 + method + 1 + 6 + span
    length = WIDTH if room is None else max(SHORTEST, min(WIDTH, room - taken))
    lines = [f"{'class':<{wide}}  {heads[0]}  recall, %"]
    for told, head, group in zip(labels, heads[1:], groups, strict=True):
        for i, (name, values) in enumerate(recall.items()):
            left = f"{fitted(told, wide)}  {head}" if i == 0 else " " * (wide + 2 + len(head))
            value = _mean([values[j] for j in group])
            steps = 0 if value is None else round(2 * length * value)
            bar = full * (steps // 2) + half * (steps % 2)
            pair = interval(summary, name, order[group[0]]) if len(group) == 1 and order[group[0]] in few else None
            told_ends = "" if pair is None else f" [{100 * pair[0]:.0f}, {100 * pair[1]:.0f}]"
            lines.append(f"{left}  {name:<{method}} {bar:<{length}} {percent(value):>5}{told_ends}".rstrip())
    if few:
        lines.append(f"{mark} fewer than {small_classes.ENOUGH} test examples; [95 % interval of the recall]")
    return "\n".join(lines)


def _column(head: str, cells: list[str]) -> list[str]:
    """The cells of a column under their head, set right."""
    size = max(map(len, [*cells, head]))
    return [f"{cell:>{size}}" for cell in (head, *cells)]


def _span(values: list[float], *, down: bool = False) -> str:
    """A number, or the smallest and largest of several; the other way round where they go `down`."""
    low, high = min(values), max(values)
    if len(values) == 1 or (low == high and not down):
        return str(low)
    return f"{high}-{low}" if down else f"{low}-{high}"


def interval(summary: Summary, method: str, j: int) -> list[float] | None:
    """The 95 % interval of a method's recall of class j."""
    row = next(row for row in summary["rows"] if row["method"] == method)
    found = row.get("recall_interval")
    return None if found is None else found[j]


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def svg(summary: Summary) -> str | None:
    """The same picture as SVG; None where matplotlib is not installed (longtail[report])."""
    with _silenced():
        return _drawn(summary)


def _drawn(summary: Summary) -> str | None:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure  # without pyplot: the user's backend and figures stay as they are
        from matplotlib.patches import Patch
    except ImportError:
        return None
    (names, sizes, recall), order = series(summary), ranked(summary)
    if not recall:
        return None
    names, tested, thin_ones = (
        [shown(name) for name in names],
        small_classes.tested(summary),
        small_classes.small_classes(summary),
    )
    pales = [order[j] in thin_ones for j in range(len(order))]
    # a fixed salt and no date: the same comparison gives the same file
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "longtail", "font.size": 10}):
        few = len(names) <= 30
        ticks, labels, wide = _labels(names, sizes, [tested[j] for j in order], few=few)
        upright = wide > WIDEST
        figure = Figure(figsize=(9, 5) if upright else (max(wide, 7.5), 4.2), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(recall)
        for i, (name, values) in enumerate(recall.items()):
            heights = [100 * v if v is not None else 0 for v in values]
            places = [j + (i - (len(recall) - 1) / 2) * width for j in range(len(names))]
            drawn = axes.bar(places, heights, width, label=name, color=COLOURS[i % len(COLOURS)])
            for bar, pale in zip(drawn, pales, strict=True):
                bar.set(alpha=PALE if pale else None)
            _errors(axes, places, heights, [interval(summary, name, j) for j in order], [few or pale for pale in pales])
            for place, value in zip(places, values, strict=True):
                if value is None:
                    axes.text(place, 1, "–", ha="center")  # not measured, which is not a recall of 0
        # a name may hold dollars
        axes.set_xticks(ticks, labels, parse_math=False, rotation=90 if upright else 0)
        axes.set_xlabel("class, its training examples, its test examples" if few else "training examples of the class")
        axes.set_ylabel("recall on the test part, % (line: 95 % interval)")
        axes.set_ylim(0, 100)
        axes.spines[["top", "right"]].set_visible(False)
        key, _ = axes.get_legend_handles_labels()
        if thin_ones:
            key.append(
                Patch(color="#6b7280", alpha=PALE, label=f"pale: fewer than {small_classes.ENOUGH} test examples")
            )
        axes.legend(handles=key, frameon=False, ncols=len(key), loc="lower left", bbox_to_anchor=(0, 1))
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _errors(
    axes: Any, places: list[float], heights: list[float], ends: list[list[float] | None], wanted: list[bool]
) -> None:
    """The 95 % intervals of the recalls, of the classes where they are wanted and known."""
    known = [
        (x, y, max(y - 100 * pair[0], 0.0), max(100 * pair[1] - y, 0.0))
        for x, y, pair, want in zip(places, heights, ends, wanted, strict=True)
        if pair is not None and want
    ]
    if known:
        xs, ys, down, up = (list(column) for column in zip(*known, strict=True))
        axes.errorbar(xs, ys, yerr=[down, up], fmt="none", ecolor="#374151", elinewidth=0.8, capsize=2)


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


def _labels(
    names: list[str], sizes: list[int], tested: list[float], *, few: bool
) -> tuple[list[int], list[str], float]:
    """Which classes get a label, the labels, and the inches that they need side by side."""
    ticks = list(range(len(names))) if few else list(range(0, len(names), max(1, len(names) // 15)))
    labels = [f"{names[j]}\n{sizes[j]}\n{tested[j]}" if few else str(sizes[j]) for j in ticks]
    longest = max(len(line) for label in labels for line in label.splitlines())
    wide = LETTER * (longest + 1) * len(ticks) + 1
    if wide > WIDEST:  # upright, then
        labels = ["  ".join(label.split("\n", 1)).replace("\n", " / ") for label in labels]
    return ticks, labels, wide
