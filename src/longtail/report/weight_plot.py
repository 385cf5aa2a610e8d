"""The average instance weight of each class, epoch by epoch, as SVG: made from a run's records alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from longtail.report.class_runs import by_size, from_to, mean_known, run_label, runs
from longtail.report.printable import shown
from longtail.report.svg_figure import BLUE, GREY, RED, draw, heading, with_room

Record = dict[str, Any]
KEY = "mean_weights"
"""In a record: the average instance weight of each class in that epoch, None for a class without examples."""


def svg(records: Sequence[Record], names: Sequence[str], counts: Sequence[float], title: str) -> str | None:
    """A line per class, from the largest (blue) to the smallest (red); per tenth of the classes where they are many.

    Args:
        records: of one training, in order, as metrics.jsonl has them.
        names, counts: of the C classes.
        title: one line above.

    Returns:
        the picture, the same bytes for the same input; None where no epoch had instance weights, or without matplotlib.
    """
    weights = [record.get(KEY) for record in records]
    if not any(weights):
        return None
    groups = runs(by_size(counts))
    lines = [[mean_known([w[j] for j in group]) if w else None for w in weights] for group in groups]
    labels = [
        with_room(f"{run_label([names[j] for j in group])} ({from_to(counts[group[0]], counts[group[-1]])})")
        for group in groups
    ]

    def paint(figure: Any) -> None:
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.ticker import MaxNLocator

        heading(figure, title)
        axes = figure.subplots()
        colours = LinearSegmentedColormap.from_list("sizes", [BLUE, RED])
        axes.axhline(1, color=GREY, linewidth=0.8)
        drawn = []
        for i, line in enumerate(lines):
            colour, values = colours(i / max(len(lines) - 1, 1)), [math.nan if v is None else v for v in line]
            drawn += axes.plot(range(1, len(line) + 1), values, color=colour)
            axes.plot([j + 1 for j in _alone(line)], [line[j] for j in _alone(line)], "o", markersize=4, color=colour)
        axes.set_xlim(1 - 0.02 * len(records), 1.02 * len(records))
        low, high = axes.get_ylim()
        from_zero = low < high / 2  # else the lines would coincide
        axes.set_ylim(0 if from_zero else low, high)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.grid(axis="y")
        axes.set_xlabel("epoch")
        axes.set_ylabel("average weight of a class" + ("" if from_zero else "\n(the axis does not start at 0)"))
        _mark_stages(axes, [shown(str(record["stage"]), longest=20) for record in records])
        # labels are set afterwards, since matplotlib hides those that begin with _
        legend = figure.legend(
            drawn, ["class"] * len(drawn), loc="outside right upper", title="class (training examples)"
        )
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_text(label)

    return draw(paint, 9, 4.6)


def _alone(line: Sequence[float | None]) -> list[int]:
    """Where a value has no neighbour, so that no line shows it."""
    padded = [None, *line, None]
    return [i for i, value in enumerate(line) if value is not None and padded[i] is None and padded[i + 2] is None]


def _mark_stages(axes: Any, stages: Sequence[str]) -> None:
    """A dashed line where a further stage begins, and the stages' names above."""
    begins = [i for i, stage in enumerate(stages) if i and stage != stages[i - 1]]
    if not begins:
        return
    for i in begins:
        axes.axvline(i + 0.5, color=GREY, linewidth=0.8, linestyle="--")
    top = axes.secondary_xaxis("top")
    top.spines[:].set_visible(False)
    top.tick_params(length=0)
    top.set_xticks([1, *(i + 0.5 for i in begins)], [stages[i] for i in (0, *begins)], rotation=30, ha="left",
                   rotation_mode="anchor")  # fmt: skip
