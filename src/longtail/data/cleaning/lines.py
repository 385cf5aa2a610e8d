"""Read a file of suspects: one line for every label that is to be corrected."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from longtail.facts.messages import quoted

HEAD = ("row", "file", "given", "likely", "score", "rank", "of", "why", "data")
"""The columns that `longtail labels` writes. Read are row and given, to relabel likely, and data and use if present."""
NAMED = {"drop": "drop_rows (--drop)", "relabel": "relabel (--relabel)"}
"""What is corrected -> its argument and its flag; `drop` itself is a number of the recipe."""
USED, UNUSED = ("1", "yes", "y", "true", ""), ("0", "no", "n", "false")
"""Words in the column `use`."""


class Line(NamedTuple):
    """One label to be corrected.

    Args:
        row: of the data as they were read, from 0.
        given: the label that the row has.
        likely: the label to give it in place.
        data: fingerprint of the training rows that the line was written for; empty where it is not known.
    """

    row: int
    given: str
    likely: str
    data: str


def read_lines(source: Any, option: str) -> tuple[Line, ...]:
    """Return the lines of a file, or of a result of `lt.labels.suspects`, but for those with `use` = 0, no or false.

    Args:
        source: a path, or an object with `lines()` that returns dicts.
        option: "drop" or "relabel", for messages.

    Raises:
        ValueError: no such file, a column is missing, another word in `use`, or a row is no number or occurs twice.
    """
    named = NAMED[option]
    if hasattr(source, "lines"):
        return _checked(source.lines(), option, named)
    if not isinstance(source, str | Path):
        raise TypeError(f"{named} must be a file that longtail labels wrote, or its result, got {quoted(source)}")
    path = Path(source)
    if not path.is_file():
        raise ValueError(f"{named} must be a file that longtail labels wrote, got {str(path)!r}, which is none; run it")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _checked(csv.DictReader(file), option, f"{named} {path.name}")
    except UnicodeDecodeError as error:
        raise ValueError(f"{named} {path.name} must be text in UTF-8 ({error.reason}); save it as CSV again") from None


def _checked(lines: Iterable[Mapping[str, Any]], option: str, named: str) -> tuple[Line, ...]:
    needed = ("row", "given", "likely") if option == "relabel" else ("row", "given")
    found: dict[int, Line] = {}
    head = getattr(lines, "fieldnames", needed) or ()
    if missing := [name for name in needed if name not in head]:
        raise ValueError(f"{named} must have the columns {', '.join(needed)}, got none called {missing[0]}; add it")
    for number, line in enumerate(lines, start=1):
        use = str(line.get("use") or "").strip().lower()
        if use in UNUSED:
            continue
        if use not in USED:
            raise ValueError(
                f"{named} must have yes or no in use, got {quoted(use)} in line {number}; write one of them"
            )
        try:
            row = int(str(line["row"]))
        except ValueError:
            raise ValueError(
                f"{named} must name rows by number, got {quoted(line['row'])} in line {number}; leave row as it was"
            ) from None
        if row in found:
            raise ValueError(f"{named} must name every row once, got row {row} twice; delete one of the lines")
        cells = (str(line.get(name) or "") for name in ("given", "likely", "data"))
        found[row] = Line(row, *cells)
    return tuple(found.values())
