"""Quote values in messages: on one line, in visible characters, shortened.

Names and values are data, which may contain control characters that a terminal obeys, a right-to-left override that
reverses a line, or nine thousand letters that push the way out off the screen.
"""

from __future__ import annotations

import unicodedata
from typing import Any

VALUE, LINE = 120, 1000
"""Longest quoted value and longest message, in characters."""

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that are escaped: control, format (zero width, bidirectional), surrogates, line separators."""


def quoted(value: Any) -> str:
    """Return the repr of a value, on one visible line of at most VALUE characters."""
    try:
        text = repr(value)
    except Exception:  # a number of ten thousand digits has no text
        text = f"a {type(value).__name__}"
    return cut(line(text), VALUE)


def line(message: str) -> str:
    """Return a message on one visible line of at most LINE characters."""
    return visible(" ".join(cut(message, 4 * LINE).split()), LINE)


def visible(text: str, longest: int | None = None) -> str:
    r"""Escape characters that cannot be seen, as `\n`, `\u200b`, `\x1b`."""
    shown = "".join(escaped(c) if unicodedata.category(c) in HIDDEN else c for c in text)
    return shown if longest is None else cut(shown, longest)


def escaped(character: str) -> str:
    """Return one character as an escape sequence of Python."""
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, longest: int) -> str:
    """Shorten a text in its middle: a message begins with its subject and ends with the way out."""
    if len(text) <= longest:
        return text
    end = (longest - 5) * 2 // 5
    return f"{text[: longest - 5 - end]} ... {text[-end:]}"
