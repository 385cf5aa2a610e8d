"""How a refusal echoes what it was given: one line of visible characters, cut where it would be a page.

Names and values are data, and data may hold anything: a terminal obeys control characters, a right-to-left override
turns a line round, and a value of nine thousand letters pushes the way out off the screen.
"""

from __future__ import annotations

import unicodedata
from typing import Any

VALUE, LINE = 120, 1000
"""Characters of one echoed value, and of a whole message."""

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that are escaped: control, format (zero width, bidirectional), surrogates, line separators."""


def quoted(value: Any) -> str:
    """A value as a message echoes it."""
    try:
        text = repr(value)
    except Exception:  # a number of ten thousand digits has no text
        text = f"a {type(value).__name__}"
    return cut(line(text), VALUE)


def line(message: str) -> str:
    """A message on one line of visible characters, whatever stands in the values it echoes, not longer than LINE."""
    return visible(" ".join(cut(message, 4 * LINE).split()), LINE)


def visible(text: str, longest: int | None = None) -> str:
    r"""`\n`, `\u200b`, `\x1b` for what cannot be seen."""
    shown = "".join(escaped(c) if unicodedata.category(c) in HIDDEN else c for c in text)
    return shown if longest is None else cut(shown, longest)


def escaped(character: str) -> str:
    """One character as Python writes it in a string."""
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, longest: int) -> str:
    """The beginning and the end: what a message is about stands first, the way out last."""
    if len(text) <= longest:
        return text
    end = (longest - 5) * 2 // 5
    return f"{text[: longest - 5 - end]} ... {text[-end:]}"
