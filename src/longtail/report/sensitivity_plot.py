"""The metric of a search against each knob, as SVG: made from tune.json alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

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
METRICS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "macro_f1": "macro F1"}


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
    across = min(ACROSS, len(knobs))
    down = -(-len(knobs) // across)

    def paint(figure: Any) -> None:
        of = f"{shown(summary['chosen']['method'].partition('(')[0])} on {shown(summary['data'])}"
        heading(figure, f"Sensitivity of {of}: {len(rows)} candidates, {summary['search']} search")
        panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
        for panel, (knob, declared) in zip(panels, knobs.items(), strict=False):
            _draw_panel(panel, knob, declared, rows, mean=summary["search"] == "grid", alone=len(knobs) == 1)
        for panel in panels[len(knobs) :]:
            panel.set_visible(False)
        for panel in panels[::across]:
            panel.set_ylabel(f"{METRICS[summary['metric']]}, %\n({_where(summary)})")
        handles = {h.get_label(): h for panel in panels for h in panel.get_legend_handles_labels()[0]}
        figure.legend(handles=list(handles.values()), loc="outside lower left", ncols=len(handles))

    return draw(paint, 1.2 + 3.4 * max(across, 2), 1.2 + 2.9 * down)


def _where(summary: Summary) -> str:
    folds = summary["inner_folds"]
    return f"{summary['validation_rows']:,} validation rows" + (f", {folds} inner folds" if folds else "")


def _draw_panel(
    axes: Any, knob: str, declared: Mapping[str, Any], rows: Sequence[Row], *, mean: bool, alone: bool
) -> None:
    """Draw the candidates at their values of one knob; `alone`: there is no other knob."""
    places = _axis(axes, knob, declared)
    x, y = [places(row["setting"][knob]) for row in rows], [100 * row["metric"] for row in rows]
    if "values" in declared:  # else hardly two candidates have the same value
        at = sorted(set(x))
        values = [[b for a, b in zip(x, y, strict=True) if a == place] for place in at]
        axes.plot(at, [max(v) for v in values], color=BLUE, label="" if alone else "best over the other knobs")
        if mean and not alone:
            means = [sum(v) / len(v) for v in values]
            axes.plot(at, means, color=GREY, linestyle="--", label="mean over the other knobs")
    worse = [row["difference"] is not None and row["difference"]["high"] < 0 for row in rows]
    for hollow, label in ((False, "candidate"), (True, "worse than the chosen one beyond chance")):
        some = [i for i, is_worse in enumerate(worse) if is_worse is hollow]
        if some:
            axes.plot(
                [x[i] for i in some], [y[i] for i in some], "o", markersize=5, color=PALE_BLUE, label=label,
                markerfacecolor="none" if hollow else PALE_BLUE,
            )  # fmt: skip
    axes.plot(x[:1], y[:1], "D", markersize=7, color=RED, label="chosen")
    axes.grid(axis="y")


def _axis(axes: Any, knob: str, declared: Mapping[str, Any]) -> Any:
    """Set up the horizontal axis of a knob; return the function from a value as written to its place."""
    name = f"{knob.removeprefix('recipe.')} of the recipe" if knob.startswith("recipe.") else knob
    values = declared.get("values")
    numbers = [] if values is None else [_number(value) for value in values]
    positive = [n for n in numbers if n > 0]
    wide = bool(positive) and max(positive) >= WIDE * min(positive)
    if values is not None and (any(map(math.isnan, numbers)) or (wide and len(positive) < len(numbers))):
        places = {value: float(i) for i, value in enumerate(values)}
        long = max(map(len, values)) > 48 // len(values)
        turned = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"} if long else {}
        axes.set_xticks(list(places.values()), [shown(value, longest=24) for value in values], **turned)
        axes.set_xlim(-0.4, len(values) - 0.6)
        axes.set_xlabel(shown(name))
        return places.__getitem__
    log = wide if values is not None else declared["log"]
    if log:
        axes.set_xscale("log")
    if values is not None and len(values) <= MOST_TICKS:
        axes.set_xticks(numbers, [shown(value, longest=12) for value in values])
        axes.minorticks_off()
    axes.set_xlabel(f"{shown(name)}, logarithmic" if log else shown(name))
    return float


def _number(text: str) -> float:
    """Return the number, NaN for a word."""
    try:
        return float(text)
    except ValueError:
        return math.nan
