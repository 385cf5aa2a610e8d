"""Each method's difference to the reference, and to its twin, with simultaneous intervals, as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from rich.cells import cell_len

from longtail.metrics.registry import metric
from longtail.report import metric_words
from longtail.report.page.axes import Scale, number
from longtail.report.page.elements import figure, joined
from longtail.report.page.page import Page, Section
from longtail.report.page.picture import LETTER, Picture
from longtail.report.page.sections.head import metric_name
from longtail.report.printable import shortened
from longtail.report.rows import difference

WIDTH, LINE, TOP = 760.0, 26.0, 30.0
LONGEST = 30
"""Letters of a name."""
CLIP = 4.0
"""An interval so many times as wide as the usual one is cut, or nothing else could be seen."""
LOOKS = {"good": ("mark good", "circle"), "bad": ("mark bad", "down"), "open": ("hollow open", "diamond")}
"""Of what is shown to be better, or worse, and of what is not shown."""


@dataclass(frozen=True)
class Contrast:
    """One line of the picture: its name, the difference and its interval, the numbers as text.

    Fractions are in points. `higher`: whether more of the metric is better.
    """

    name: str
    mean: float
    low: float
    high: float
    text: str
    higher: bool = True

    @property
    def look(self) -> str:
        """Whether 0 is outside of the interval, and on which side."""
        above, below = ("good", "bad") if self.higher else ("bad", "good")
        return above if self.low > 0 else below if self.high < 0 else "open"

    @property
    def gain(self) -> float:
        """How much better, > 0 where it is better."""
        return self.mean if self.higher else -self.mean


def section(page: Page) -> Section | None:
    """None where there is no verdict."""
    if page.summary["verdict"] is None:
        return None
    level = 100 * float(page.summary["verdict"]["statistics"].get("level", 0.95))
    unit = ", points," if metric_words.is_fraction(page.summary) else ""
    ends = f"in {metric_name(page.summary)}{unit} with simultaneous {level:g} % intervals"
    pictures = []
    plain = [_contrast(page, row["method"], row["difference"]) for row in page.rows if row.get("difference")]
    twins = [
        _contrast(page, f"{row['method']} vs {row['twin']['method']}", row["twin"])
        for row in page.rows
        if row.get("twin") and row["twin"]["method"] != page.reference
    ]
    for id, contrasts, to in (("forest", plain, page.reference), ("twins", twins, "the twin")):
        if contrasts:
            contrasts.sort(key=lambda contrast: -contrast.gain)
            caption = f"Difference to {to} {ends}"
            drawn, cut = draw(f"picture-{id}", caption, contrasts)
            pictures.append(figure(drawn, f"{caption}. {_legend(contrasts, cut=cut)}"))
    return Section("differences", f"Differences to {page.reference}", joined(pictures)) if pictures else None


def _contrast(page: Page, name: str, interval: dict[str, Any]) -> Contrast:
    points = metric_words.is_fraction(page.summary)
    mean, low, high = ((100 if points else 1) * interval[key] for key in ("mean", "low", "high"))
    higher = metric(page.summary["metric"]).higher_is_better
    return Contrast(shortened(name, LONGEST), mean, low, high, difference({"difference": interval}, points), higher)


def _legend(contrasts: Sequence[Contrast], *, cut: bool) -> str:
    words = {"good": "filled circle: shown to be better", "bad": "triangle: shown to be worse",
             "open": "hollow: not shown"}  # fmt: skip
    looks = {contrast.look for contrast in contrasts}
    said = [text for look, text in words.items() if look in looks]
    return "; ".join([*said, *(["arrow: the interval goes on"] if cut else [])]).capitalize() + "."


def draw(id: str, caption: str, contrasts: Sequence[Contrast]) -> tuple[Markup, bool]:
    """The picture, and whether an interval was cut."""
    words = "; ".join(f"{c.name} {c.text}" for c in contrasts)
    height = TOP + LINE * len(contrasts) + 26
    picture = Picture(id, caption, f"{words}.", WIDTH, height)
    left = 14 + LETTER * max(cell_len(c.name) for c in contrasts)
    right = WIDTH - 14 - LETTER * max(len(c.text) for c in contrasts)
    x = _scale(contrasts, left, right)
    bottom = TOP + LINE * len(contrasts)
    for value in x.ticks():
        picture.line((x.at(value), TOP - 6), (x.at(value), bottom), "zero" if abs(value) < 1e-9 else "grid")
        picture.text((x.at(value), bottom + 18), number(value), "muted middle")
    less, more = ("worse", "better") if contrasts[0].higher else ("better", "worse")
    picture.text((left, 14), f"← {less}", "muted")
    picture.text((right, 14), f"{more} →", "muted end")
    cut = [_draw_line(picture, x, contrast, TOP + LINE * (i + 0.5)) for i, contrast in enumerate(contrasts)]
    return picture.markup(), any(cut)


def _scale(contrasts: Sequence[Contrast], left: float, right: float) -> Scale:
    """Holds 0, every mean, and every interval that is not much wider than the others."""
    most = CLIP * statistics.median(c.high - c.low for c in contrasts)
    usual = [end for c in contrasts if c.high - c.low <= most for end in (c.low, c.high)]
    ends = [0.0, *(c.mean for c in contrasts), *usual]
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low) or 1.0
    return Scale(low - room, high + room, left, right)


def _draw_line(picture: Picture, x: Scale, contrast: Contrast, y: float) -> bool:
    """One contrast; return whether its interval was cut."""
    colour = contrast.look
    picture.text((0, y + 4.5), contrast.name)
    picture.text((picture.width, y + 4.5), contrast.text, "end")
    low, high = max(contrast.low, x.low), min(contrast.high, x.high)
    picture.line((x.at(low), y), (x.at(high), y), f"range {colour}")
    for end, kept, side in ((contrast.low, low, 1), (contrast.high, high, -1)):
        if end == kept:
            picture.line((x.at(end), y - 5), (x.at(end), y + 5), f"range {colour}")
        else:
            picture.curve([(x.at(kept) + 6 * side, y - 5), (x.at(kept), y), (x.at(kept) + 6 * side, y + 5)],
                          f"range {colour}")  # fmt: skip
    css, shape = LOOKS[colour]
    picture.mark((x.at(contrast.mean), y), css, shape)
    return (low, high) != (contrast.low, contrast.high)
