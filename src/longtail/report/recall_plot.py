"""Recall against class size, as text for the terminal and as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from longtail.report.class_runs import by_size, from_to, mean_known, run_label, runs
from longtail.report.class_size_plot import WIDTH
from longtail.report.printable import fitted, shortened, shown
from longtail.report.rows import CONTEXT_MARK, context, percent
from longtail.report.small_classes import ENOUGH, MARK, PLAIN_MARK, small_classes, tested
from longtail.report.svg_figure import BLUE, GREEN, GREY, ORANGE, PALE, RED, draw
from longtail.report.text_table import aligned

Summary = dict[str, Any]
COLOURS = ("#9aa5b1", RED, BLUE, ORANGE, GREEN)
"""Of the reference, the best method, and what is context."""
SHORTEST = 10
"""Columns of a bar in a narrow terminal."""
MOST_NAMED = 30
"""Classes up to which the SVG names each."""
MOST_BARS = 120
LETTER, WIDEST = 0.085, 14.0
"""Inches: of a letter of a label, and of the widest picture."""


def recalls(summary: Summary) -> dict[str, list[float | None]]:
    """(C,) recalls of the methods that are drawn: the reference, the best other and what is context."""
    gain, rows = summary["gain"], summary["rows"]
    names = [summary["reference"], gain["method"]] if gain else [row["method"] for row in rows[:1]]
    names += [row["method"] for row in rows if context(row) and row["method"] not in names]
    by_method = {row["method"]: row["recall"] for row in rows}
    return {name: by_method[name] for name in names if name in by_method}


def text(summary: Summary, *, ascii_only: bool = False, room: int | None = None) -> str:
    """Bars in the terminal, a line per class (per run of classes where there are many) and method.

    Where classes have few test examples their number is shown, they are marked, and their recalls have intervals.

    Args:
        summary: of the comparison.
        ascii_only: no block characters.
        room: columns of the terminal; the bars become shorter where they do not fit.
    """
    recall = recalls(summary)
    if not recall:
        return ""
    few, groups = small_classes(summary), runs(by_size(summary["data"]["class_counts"]))
    full, half, mark = ("#", "", PLAIN_MARK) if ascii_only else ("█", "▌", MARK)
    head, *starts = _starts(summary, groups, few, mark, ascii_only=ascii_only)
    longest, left = max(map(len, recall)), cell_len(head)
    taken = left + 2 + longest + 1 + 6 + (10 if few else 0)
    length = WIDTH if room is None else max(SHORTEST, min(WIDTH, room - taken))
    lines = [f"{head}  recall, %"]
    for start, group in zip(starts, groups, strict=True):
        for i, (name, values) in enumerate(recall.items()):
            value = mean_known([values[j] for j in group])
            steps = 0 if value is None else round(2 * length * value)
            bar = full * (steps // 2) + half * (steps % 2)
            ends = interval(summary, name, group) if few & {*group} else None
            told_ends = "" if ends is None else f" [{100 * ends[0]:.0f}, {100 * ends[1]:.0f}]"
            begin = start if i == 0 else " " * left
            lines.append(f"{begin}  {name:<{longest}} {bar:<{length}} {percent(value):>5}{told_ends}".rstrip())
    if few:
        lines.append(f"{mark} fewer than {ENOUGH} test examples; [95 % interval of the recall]")
    return "\n".join(lines)


def _starts(
    summary: Summary, groups: Sequence[Sequence[int]], few: set[int], mark: str, *, ascii_only: bool
) -> list[str]:
    """The head, then for every run of classes its label, its sizes, and its test examples where some have few."""
    data, counts = summary["data"], tested(summary)
    labels = ["class", *(run_label([data["classes"][j] for j in group], ascii_only=ascii_only) for group in groups)]
    known, class_sizes = data.get("counts_known", True), _sizes(summary)
    sizes = [[class_sizes[j] for j in group] for group in groups]
    columns = [["examples" if known else "expected", *(from_to(max(size), min(size)) for size in sizes)]]
    if few:
        tests = [[counts[j] for j in group] for group in groups]
        ends = [mark if few & {*group} else " " for group in groups]
        columns.append(["tested  ", *(f"{from_to(min(n), max(n))} {end}" for n, end in zip(tests, ends, strict=True))])
    numbers = aligned(list(zip(*columns, strict=True)), ">" * len(columns))
    width = max(map(cell_len, labels))
    return [f"{fitted(label, width)}  {number}" for label, number in zip(labels, numbers, strict=True)]


def _sizes(summary: Summary) -> list[float]:
    """(C,) training examples of each class, rounded where they are only expected."""
    counts: list[float] = summary["data"]["class_counts"]
    return counts if summary["data"].get("counts_known", True) else [round(n, 1) for n in counts]


def interval(summary: Summary, method: str, group: Sequence[int]) -> list[float] | None:
    """The 95 % interval of a method's recall of a class; None for several classes, or where it is unknown."""
    row = next(row for row in summary["rows"] if row["method"] == method)
    intervals = row.get("recall_interval")
    return intervals[group[0]] if intervals is not None and len(group) == 1 else None


def svg(summary: Summary) -> str | None:
    """Bars of recall by class, largest class first, as SVG; None without matplotlib or without a finished method.

    Up to MOST_NAMED classes each is named and every bar has its 95 % interval. Where more classes exist than fit, a
    bar is the mean of neighbours. Bars of few test examples are pale, and have an interval if they are of one class.
    """
    recall = recalls(summary)
    if not recall:
        return None
    counts, few = summary["data"]["class_counts"], small_classes(summary)
    bins = max(MOST_NAMED, MOST_BARS // len(recall))
    groups = runs(by_size(counts), most=bins, pieces=bins)
    pales = [bool(few & {*group}) for group in groups]
    named = len(counts) <= MOST_NAMED
    ticks, labels, room = _labels(summary, groups, named=named)
    upright = room > WIDEST
    width, height = (9.0, 5.4) if upright else (max(room, 8.0), 4.2)

    def paint(figure: Any) -> None:
        axes, bar = figure.subplots(), 0.8 / len(recall)
        for i, (name, values) in enumerate(recall.items()):
            means = [mean_known([values[j] for j in group]) for group in groups]
            ends = [
                interval(summary, name, g) if named or pale else None for g, pale in zip(groups, pales, strict=True)
            ]
            places = [place + (i + 0.5) * bar - 0.4 for place in range(len(groups))]
            _draw_bars(axes, places, means, ends, pales, width=bar, color=COLOURS[i % len(COLOURS)])
        turned = {"rotation": 90, "ha": "right", "va": "center", "rotation_mode": "anchor"} if upright else {}
        axes.set_xticks(ticks, labels, **turned)
        several = f"; a bar is the mean of {len(counts) / bins:.3g} classes" if len(counts) > bins else ""
        kind = "labelled " if summary["data"].get("unlabeled") else ""
        kind = kind if summary["data"].get("counts_known", True) else "expected "
        named_by = f"class, its {kind}training examples, its test examples"
        named_by = named_by if named else f"{kind}training examples of the class"
        axes.set_xlabel(f"{named_by}{several}")
        axes.set_ylabel("recall on the test part, %\n(line: 95 % interval)")
        axes.set_ylim(0, 100)
        beside = {row["method"] for row in summary["rows"] if context(row)}
        names = [f"{shown(name)} {CONTEXT_MARK}" if name in beside else shown(name) for name in recall]
        _draw_legend(figure, names, pale=any(pales))

    return draw(paint, width, height)


def _draw_bars(
    axes: Any,
    places: Sequence[float],
    means: Sequence[float | None],
    ends: Sequence[Sequence[float] | None],
    pales: Sequence[bool],
    **options: Any,
) -> None:
    """The bars of one method and the known intervals; a dash where nothing was measured, which is not a recall of 0."""
    drawn = axes.bar(places, [100 * (mean or 0) for mean in means], **options)
    for bar, place, mean, pale in zip(drawn, places, means, pales, strict=True):
        bar.set_alpha(PALE if pale else None)
        if mean is None:
            axes.text(place, 1, "–", ha="center")
    known = [
        (place, 100 * mean, 100 * max(mean - pair[0], 0), 100 * max(pair[1] - mean, 0))
        for place, mean, pair in zip(places, means, ends, strict=True)
        if mean is not None and pair is not None
    ]
    if known:
        x, y, *lengths = zip(*known, strict=True)
        axes.errorbar(x, y, yerr=lengths, fmt="none", ecolor="#374151", elinewidth=0.8, capsize=2)


def _draw_legend(figure: Any, names: Sequence[str], *, pale: bool) -> None:
    """The methods, and what pale bars mean where there are any, in as many columns as fit."""
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=COLOURS[i % len(COLOURS)], label=name) for i, name in enumerate(names)]
    if pale:
        handles.append(Patch(color=GREY, alpha=PALE, label=f"pale: fewer than {ENOUGH} test examples"))
    longest = max(len(handle.get_label()) for handle in handles)
    columns = int((figure.get_figwidth() - 0.3) / (LETTER * longest + 0.6))
    figure.legend(handles=handles, loc="outside upper left", ncols=max(columns, 1))


def _labels(summary: Summary, groups: Sequence[Sequence[int]], *, named: bool) -> tuple[list[int], list[str], float]:
    """Which bars get a label, the labels, and the inches that they need side by side; upright ones are one line."""
    data, counts, sizes = summary["data"], tested(summary), _sizes(summary)
    ticks = list(range(0, len(groups), 1 if named else max(1, len(groups) // 15)))
    lines = [
        [shortened(data["classes"][j], 24), *(f"{n:.9g}" for n in (sizes[j], counts[j]))]
        if named else [f"{sizes[j]:.9g}"]
        for j in (groups[tick][0] for tick in ticks)
    ]  # fmt: skip
    room = LETTER * (max(cell_len(word) for line in lines for word in line) + 1) * len(ticks) + 1
    if room > WIDEST:
        return ticks, ["  ".join([line[0], " / ".join(line[1:])]) for line in lines], room
    return ticks, ["\n".join(line) for line in lines], room
