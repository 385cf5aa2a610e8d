"""Text for a terminal that may know nothing but ASCII, from data that may hold orders to it."""

from __future__ import annotations

import codecs
import io
import sys

from longtail.facts import messages

PLAIN = {
    "±": "+/-", "–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "…": "...", "†": "#", "→": "->", "█": "#", "▌": " ",
    "≥": ">=", "≤": "<=",
}  # fmt: skip
r"""What we write beyond ASCII, in ASCII; anything else, a class called ñ, is shown as \xf1."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c) or messages.escaped(c) for c in error.object[error.start : error.end]), error.end


def take_anything() -> None:
    """Standard output and error take every character from now on, whatever the terminal's encoding."""
    codecs.register_error("longtail", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="longtail")


def as_it_is(text: str) -> None:
    """Write a table to standard output: in UTF-8, byte for byte, but to a terminal only what can be seen."""
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        say(text.removesuffix("\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def say(text: str, *, error: bool = False) -> None:
    """Print lines of which each holds only what can be seen."""
    lines = "\n".join(messages.visible(line) for line in text.split("\n"))
    print(lines, file=sys.stderr if error else sys.stdout)
