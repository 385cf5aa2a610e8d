"""A picture as inline SVG, in the colours of the style sheet, so that it follows dark mode and print."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from longtail.report.page.templating import written

Point = tuple[float, float]

SHAPES = ("circle", "square", "diamond", "triangle", "down")
"""Of the marks of series 0, 1, ...: what has another colour has another shape, too."""
SERIES = 6
"""How many colours there are: `series(i)` repeats beyond."""
LETTER = 7.2
"""Width of a letter of the pictures, about, in units of the picture."""


def series(index: int) -> str:
    """The CSS class with the colour of a series; 0 is grey, for the reference."""
    return f"s{index % SERIES}"


class Picture:
    """Shapes in order, in a box of width x height units with the origin at its upper left.

    Args:
        id: of the picture, one per page.
        title: what it shows, in a few words.
        description: what is to be seen in it, in sentences: what a screen reader says in its place.
        width, height: in units; 13 of them are the height of a letter.

    The classes of the style sheet: "grid", "axis", "zero" for lines; "mark", "hollow", "range", "thin", "curve", "bar"
    with the colour of `series(i)`, "good", "bad" or "open"; "muted", "end", "middle" for text.
    """

    def __init__(self, id: str, title: str, description: str, width: float, height: float) -> None:
        self.id, self.width, self.height = id, width, height
        names = Markup('<title id="{0}-t">{1}</title><desc id="{0}-d">{2}</desc>')
        self._parts = [names.format(id, written(title), written(description))]

    def line(self, start: Point, end: Point, css: str) -> None:
        """A straight line."""
        at = f'x1="{_n(start[0])}" y1="{_n(start[1])}" x2="{_n(end[0])}" y2="{_n(end[1])}"'
        self._parts.append(Markup(f'<line {at} class="{css}"/>'))

    def curve(self, points: Sequence[Point], css: str) -> None:
        """A line through points."""
        at = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._parts.append(Markup(f'<polyline points="{at}" class="{css}"/>'))

    def area(self, points: Sequence[Point], css: str) -> None:
        """A filled polygon."""
        at = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._parts.append(Markup(f'<polygon points="{at}" class="{css}"/>'))

    def box(self, corner: Point, width: float, height: float, css: str) -> None:
        """A rectangle from its upper left corner."""
        at = f'x="{_n(corner[0])}" y="{_n(corner[1])}" width="{_n(width)}" height="{_n(height)}"'
        self._parts.append(Markup(f'<rect {at} class="{css}"/>'))

    def mark(self, place: Point, css: str, shape: str = "circle", size: float = 4.5) -> None:
        """A mark of one of SHAPES."""
        x, y = place
        if shape == "circle":
            self._parts.append(Markup(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(size)}" class="{css}"/>'))
            return
        s, d = 0.9 * size, 1.3 * size
        corners = {
            "square": [(-s, -s), (s, -s), (s, s), (-s, s)],
            "diamond": [(0, -d), (d, 0), (0, d), (-d, 0)],
            "triangle": [(0, -d), (d, s), (-d, s)],
            "down": [(0, d), (d, -s), (-d, -s)],
        }[shape]
        self.area([(x + dx, y + dy) for dx, dy in corners], css)

    def text(self, place: Point, text: str, css: str = "") -> None:
        """Text whose baseline begins at a point (class "end": ends, "middle": is centred there)."""
        start = Markup(f'<text x="{_n(place[0])}" y="{_n(place[1])}"' + (f' class="{css}">' if css else ">"))
        self._parts.append(start + Markup.escape(written(text)) + Markup("</text>"))

    def markup(self) -> Markup:
        """The picture as HTML."""
        start = Markup(
            f'<svg id="{self.id}" role="img" aria-labelledby="{self.id}-t {self.id}-d" '
            f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" xmlns="http://www.w3.org/2000/svg">'
        )
        return start + Markup("\n").join(self._parts) + Markup("</svg>")


def _n(number: float) -> str:
    """At most two decimals, without zeros at the end: the page is small."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
