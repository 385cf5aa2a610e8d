"""Parts that sections share: tables in a box that scrolls, paragraphs, lists, and what opens on demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from longtail.report.page.templating import fill


def table(
    lines: Sequence[Sequence[Any]],
    sides: str,
    caption: str,
    *,
    classes: Sequence[str] = (),
    hide_caption: bool = False,
) -> Markup:
    """A table in a box that scrolls by itself where the page is narrow.

    Args:
        lines: the header first; the first cell of each further line names it. Cells are text, or Markup.
        sides: "<" or ">" for each column: which side it is aligned to.
        caption: what the table has, in words; no two tables of a page may have the same.
        classes: a CSS class for each line without the header, such as "winner" or "reference"; () is none.
        hide_caption: leave it to screen readers, where the heading above says the same.
    """
    head, *body = lines
    marked = list(classes) or [""] * len(body)
    return fill(
        "table.html",
        head=head,
        body=list(zip(body, marked, strict=True)),
        right=[side == ">" for side in sides],
        caption=caption,
        hide_caption=hide_caption,
    )


def paragraphs(lines: Iterable[str | Markup]) -> Markup:
    """One paragraph a line; lines that begin with "- " are the items of a list."""
    return fill("paragraphs.html", lines=list(lines))


def folded(title: str, content: Markup) -> Markup:
    """Content behind a line that opens it; in print it is open."""
    return fill("folded.html", title=title, content=content)


def figure(
    picture: Markup, caption: str, *, alternative: Markup | None = None, title: str = "The same as a table"
) -> Markup:
    """A picture in a box that scrolls, its caption, and the same as a table behind a line that opens it."""
    hidden = Markup("") if alternative is None else folded(title, alternative)
    return fill("figure.html", picture=picture, caption=caption, alternative=hidden)


def joined(parts: Iterable[Markup]) -> Markup:
    """Parts one after the other."""
    return Markup("\n").join(parts)
