"""Output to a terminal that may know nothing but ASCII, of data that may hold control characters."""

from __future__ import annotations

import codecs
import io
import json
import shlex
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from longtail.facts import messages

PLAIN = {
    "±": "+/-", "–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "…": "...", "†": "#", "→": "->", "█": "#", "▌": " ",
    "≥": ">=", "≤": "<=",
}  # fmt: skip
r"""Our characters beyond ASCII, in ASCII; any other, as in a class called ñ, is printed as \xf1."""


_WORDS: ContextVar[tuple[str, ...]] = ContextVar("longtail_words", default=())


def remember(words: Sequence[str]) -> None:
    """Keep the words of the command line, for the record of what it makes."""
    _WORDS.set(tuple(words))


def command() -> str:
    """The command line as it was typed, quoted for a shell; the program is named, not its path."""
    return shlex.join(["longtail", *_WORDS.get()])


class Interrupted(Exception):
    """An interruption after which the same command begins anew; its text says so."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c) or messages.escaped(c) for c in error.object[error.start : error.end]), error.end


def escape_unencodable() -> None:
    """Let standard output and error take every character from now on, whatever the terminal's encoding."""
    codecs.register_error("longtail", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="longtail")


def write_table(text: str) -> None:
    """Write a table to standard output: in UTF-8, byte for byte, but to a terminal only visible characters."""
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        print_lines(text.removesuffix("\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def print_lines(text: str, *, error: bool = False) -> None:
    """Print lines with their invisible characters escaped, to standard output or error."""
    lines = "\n".join(messages.visible(line) for line in text.split("\n"))
    print(lines, file=sys.stderr if error else sys.stdout)


def print_json(content: Any) -> None:
    """Print JSON to standard output."""
    print(json.dumps(content, indent=2, allow_nan=False))
