"""What the net of Meta-Weight-Net learned, the weight of an example by its loss, as SVG: made from a run's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longtail.report.svg_figure import BLUE, GREY, RED, draw, heading

Record = dict[str, Any]
KEY = "weight_net"
"""In a record: `losses`, from 0 to the largest of the epoch, and the `weights` of the net there, between 0 and 1."""
MOST = 6
"""Curves, evenly over the epochs, the first and the last among them."""


def svg(records: Sequence[Record], title: str) -> str | None:
    """A curve per epoch, from the first (blue) to the last (red).

    Args:
        records: of one training, in order, as metrics.jsonl has them.
        title: one line above.

    Returns:
        the picture, the same bytes for the same input; None where no epoch had such a net, or without matplotlib.
    """
    having = [(i + 1, record[KEY]) for i, record in enumerate(records) if KEY in record]
    if not having:
        return None
    last = len(having) - 1
    chosen = [having[i] for i in sorted({round(k * last / (MOST - 1)) for k in range(MOST)})]

    def paint(figure: Any) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        heading(figure, title)
        axes = figure.subplots()
        colours = LinearSegmentedColormap.from_list("epochs", [BLUE, RED])
        drawn = []
        for i, (_, curve) in enumerate(chosen):
            colour = colours(i / max(len(chosen) - 1, 1))
            drawn += axes.plot(curve["losses"], curve["weights"], color=colour)
        axes.axhline(0.5, color=GREY, linewidth=0.8)
        axes.set_ylim(0, 1)
        axes.set_xlim(left=0)
        axes.grid(axis="y")
        axes.set_xlabel("loss of an example, up to the largest of the epoch")
        axes.set_ylabel("weight that the net gives it\n(before a batch is normalised)")
        names = [str(epoch) for epoch, _ in chosen]
        figure.legend(drawn, names, loc="outside right upper", title="epoch")

    return draw(paint, 7, 4.2)
