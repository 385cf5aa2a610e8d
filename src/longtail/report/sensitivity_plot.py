"""The metric of a search against each knob, as SVG: made from tune.json alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longtail.metrics.registry import metric
from longtail.report import metric_words
from longtail.report.printable import shown
from longtail.report.svg_figure import BLUE, GREY, PALE_BLUE, RED, draw, heading

Summary = Mapping[str, Any]
Row = Mapping[str, Any]
ACROSS = 3
"""Panels side by side."""
MOST_TICKS = 12
"""Listed values up to which each has a tick."""
WIDE = 10.0
"""Ratio of the largest to the smallest listed number from which the axis is logarithmic."""


def svg(summary: Summary) -> str | None:
    """A panel per knob: every candidate, the best and the mean over the other knobs, and the chosen one.

    Candidates that are worse than the chosen one beyond chance are hollow. The axis is logarithmic for a knob declared
    as `log(a, b)` and for listed positive numbers of a ratio of at least WIDE; words, and lists of numbers of such a
    ratio with a 0, are evenly spaced. The mean is drawn for a grid, where every value meets the same others.

    Args:
        summary: the content of tune.json.

    Returns:
        the picture, the same bytes for the same input; None without matplotlib.
    """
    knobs, rows = summary["knobs"], [row for row in summary["rows"] if row["metric"] is not None]
    unit = ", %" if metric_words.is_fraction(summary) else ""
    across = min(ACROSS, len(knobs))
    down = -(-len(knobs) // across)

    def paint(figure: Any) -> None:
        of = f"{shown(summary['chosen']['method'].partition('(')[0])} on {shown(summary['data'])}"
        heading(figure, f"Sensitivity of {of}: {len(rows)} candidates, {summary['search']} search")
        panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
        for panel, (knob, declared) in zip(panels, knobs.items(), strict=False):
            _draw_panel(panel, knob, declared, rows, summary, mean=summary["search"] == "grid", alone=len(knobs) == 1)
        for panel in panels[len(knobs) :]:
            panel.set_visible(False)
        for panel in panels[::across]:
            panel.set_ylabel(f"{metric_words.label(summary)}{unit}\n({_where(summary)})")
        handles = {h.get_label(): h for panel in panels for h in panel.get_legend_handles_labels()[0]}
        figure.legend(handles=list(handles.values()), loc="outside lower left", ncols=5 if across == ACROSS else 3)

    return draw(paint, 1.2 + 3.4 * max(across, 2), 1.2 + 2.9 * down)


def _where(summary: Summary) -> str:
    folds = summary["inner_folds"]
    return f"{summary['validation_rows']:,} validation rows" + (f", {folds} inner folds" if folds else "")


def _draw_panel(
    axes: Any,
    knob: str,
    declared: Mapping[str, Any],
    rows: Sequence[Row],
    summary: Summary,
    *,
    mean: bool,
    alone: bool,
) -> None:
    """Draw the candidates at their values of one knob; `alone`: there is no other knob."""
    name = f"{knob.removeprefix('recipe.')} of the recipe" if knob.startswith("recipe.") else knob
    places, ordered = _axis(axes, shown(name), declared)
    scale, higher = 100 if metric_words.is_fraction(summary) else 1, metric(summary["metric"]).higher_is_better
    x, y = [places(row["setting"][knob]) for row in rows], [scale * row["metric"] for row in rows]
    if "values" in declared and not alone:  # in an interval hardly two candidates have the same value
        at = sorted(set(x))
        values = [[b for a, b in zip(x, y, strict=True) if a == place] for place in at]
        line, dashed = ("-", "--") if ordered else ("none", "none")
        marks = {} if ordered else {"marker": "_", "markersize": 24}
        best = [max(v) if higher else min(v) for v in values]
        axes.plot(at, best, linestyle=line, color=BLUE, label="best over the other knobs", **marks)
        if mean:
            means = [sum(v) / len(v) for v in values]
            axes.plot(at, means, linestyle=dashed, color=GREY, label="mean over the other knobs", **marks)
    differences = [row["difference"] for row in rows]
    worse = [d is not None and (d["high"] < 0 if higher else d["low"] > 0) for d in differences]
    for hollow, label in ((False, "candidate"), (True, "worse than the chosen one beyond chance")):
        some = [i for i, is_worse in enumerate(worse) if is_worse is hollow]
        if some:
            axes.plot(
                [x[i] for i in some], [y[i] for i in some], "o", markersize=5, color=PALE_BLUE, label=label,
                markerfacecolor="none" if hollow else PALE_BLUE,
            )  # fmt: skip
    axes.plot(x[:1], y[:1], "D", markersize=7, color=RED, label="chosen")
    axes.grid(axis="y")


def _axis(axes: Any, name: str, declared: Mapping[str, Any]) -> tuple[Callable[[str], float], bool]:
    """Set up the axis of a knob; return the function from a value as written to its place, and if places are ordered.

    Words have no order, so that nothing is drawn between them.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    values = declared.get("values", ())
    numbers = [_number(value) for value in values]
    positive = [n for n in numbers if n > 0]
    wide = bool(positive) and max(positive) >= WIDE * min(positive)
    words = any(map(math.isnan, numbers))
    if words or (wide and len(positive) < len(numbers)):
        order = list(values) if words else sorted(values, key=float)
        labels = [shown(value.strip("\"'"), longest=24) for value in order]
        turned = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(order)), labels, **(turned if max(map(len, labels)) > 36 // len(order) else {}))
        axes.set_xlim(-0.4, len(order) - 0.6)
        axes.set_xlabel(name if words else f"{name}, evenly spaced")
        return {value: float(i) for i, value in enumerate(order)}.__getitem__, not words
    log = wide or declared.get("log", False)
    if log:
        axes.set_xscale("log")
        narrow = not values and declared["high"] < 100 * declared["low"]
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=6))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if values and len(values) <= MOST_TICKS:
        axes.set_xticks(numbers, [shown(value, longest=12) for value in values])
        axes.minorticks_off()
    axes.set_xlabel(f"{name}, logarithmic" if log else name)
    return float, True


def _number(text: str) -> float:
    """Return the number, NaN for a word."""
    try:
        return float(text)
    except ValueError:
        return math.nan
