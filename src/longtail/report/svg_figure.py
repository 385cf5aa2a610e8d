"""Figures of matplotlib as SVG text. matplotlib is optional, and imported when the first figure is drawn."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

from rich.cells import cell_len

from longtail.report.printable import shown

log = logging.getLogger(__name__)

BLUE, PALE_BLUE, RED, GREY, PALE_GREY, ORANGE, GREEN = (
    "#2f6690", "#81a4cd", "#d1495b", "#555555", "#dddddd", "#e0a458", "#4a7c59",
)  # fmt: skip

PALE = 0.45
"""Opacity of what rests on little."""

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "longtail",
    "text.parse_math": False,  # a name may hold dollars
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PALE_GREY,
    "legend.frameon": False,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.1,
}
"""Text stays text, and ids do not change from call to call."""


def available() -> bool:
    """Whether matplotlib is installed; it is not imported."""
    return find_spec("matplotlib") is not None


@cache
def _warn_unavailable() -> None:
    log.warning("pictures are omitted: they need matplotlib; install longtail[report]")


def draw(paint: Callable[[Any], None], width: float, height: float) -> str | None:
    """SVG of a figure; the same input gives the same bytes, whatever the user's settings of matplotlib.

    Args:
        paint: draws on the `matplotlib.figure.Figure` that it is given.
        width, height: in inches of 72 points.

    Returns:
        the text; None without matplotlib, which is logged once.
    """
    if not available():
        _warn_unavailable()
        return None
    with _quiet():
        from matplotlib import style
        from matplotlib.figure import Figure

        with style.context(["default", STYLE]):
            figure, file = Figure(figsize=(width, height), layout="constrained"), io.StringIO()
            paint(figure)
            figure.savefig(file, format="svg", metadata={"Date": None})
    # the two characters that neither `shown` escapes nor XML allows
    return file.getvalue().replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")


def with_room(text: str) -> str:
    """Text behind blanks, which SVG collapses, for the letters that matplotlib's font lacks and measures as narrow."""
    return " " * 2 * (cell_len(text) - len(text)) + text


def heading(figure: Any, title: str) -> None:
    """The title above a figure."""
    figure.suptitle(shown(title, longest=100), wrap=True, x=0.01, ha="left", fontsize=11, fontweight="bold")


@contextmanager
def _quiet() -> Iterator[None]:
    """No messages of matplotlib about its cache, nor about letters that its font lacks: the browser has the font."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
            yield
    finally:
        logger.setLevel(level)
