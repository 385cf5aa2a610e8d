"""How far an estimated class prior is from the true class shares, as SVG: made from a run's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longtail.report.svg_figure import BLUE, draw, heading

Record = dict[str, Any]
KEY = "prior_distance"
"""In a record: the L2 distance between the prior at the end of the epoch and the true class shares."""


def svg(records: Sequence[Record], title: str) -> str | None:
    """The distance by epoch.

    Args:
        records: of one training, in order, as metrics.jsonl has them.
        title: one line above.

    Returns:
        the picture, the same bytes for the same input; None where no epoch has a distance, or without matplotlib.
    """
    having = [(i + 1, record[KEY]) for i, record in enumerate(records) if KEY in record]
    if not having:
        return None

    def paint(figure: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        heading(figure, title)
        axes = figure.subplots()
        axes.plot(*zip(*having, strict=True), color=BLUE, marker="o" if len(having) == 1 else None)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_ylabel("L2 distance of the estimated class prior\nto the true class shares")

    return draw(paint, 6, 3.8)
