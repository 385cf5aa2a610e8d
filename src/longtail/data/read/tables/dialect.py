"""The dialect of a delimited text file: its delimiter, whether it has a header, and the names of its columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longtail.data.read.tables import cells

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|", "space": " "}
SAMPLE = 20
"""Rows from which delimiter and header are inferred."""

HEADER_WORDS = ("label", "target", "class")
"""Words that mark a header, whatever numbers it has beside them: they hardly ever occur in data."""

MADE_UP = re.compile(r"column[1-9][0-9]*")
"""The names that columns of a file without header are given."""


class Dialect(NamedTuple):
    """How one file is to be read; `notes` are sentences on what was inferred."""

    delimiter: str
    columns: tuple[str, ...]
    header: bool
    notes: tuple[str, ...]


def infer_dialect(
    name: str, data: bytes, delimiter: str, given: bool, header: bool | None, expected: Sequence[str]
) -> Dialect:
    """The dialect of a file of this name and content, from its first rows.

    Without `header`, the first line is data where one of its cells is a number, be it quoted, and names the columns
    where none is. It also names them where it holds one of the `expected` names or the word label, target or class, or
    where its numbers count the columns (0, 1, 2, ..., as pandas writes them). Columns without a header are called
    column1 to columnD.

    Args:
        name: of the file, for messages.
        data: its bytes, in UTF-8.
        delimiter: the one to read it with.
        given: whether the user chose that delimiter.
        header: whether the first line names the columns, where the user says so.
        expected: names of which one in the first line makes it a header.

    Raises:
        ValueError: nothing but empty lines, another delimiter, a column name twice or missing.
    """
    rows = first_rows(data, delimiter)
    if not rows:
        raise ValueError(f"{name} holds only empty lines; write the table again")
    _check_delimiter(name, data, delimiter, rows, given)
    named, reason = has_header(rows[0], header, expected)
    columns = tuple(rows[0]) if named else tuple(f"column{k + 1}" for k in range(len(rows[0])))
    if "" in columns[1:]:
        raise ValueError(f"{name}: column {columns.index('', 1) + 1} has no name; name it in the first line")
    check_unique(columns, name, "rename one, or pass header=False (--no-header) if the first line is data")
    return Dialect(delimiter, columns, named, (f"{name}: {reason}",) if reason else ())


def delimiter_of(path: Path, given: str | None) -> str:
    """The delimiter: the one given, by itself or by name; else a tab in .tsv and a comma elsewhere."""
    if given is None:
        return "\t" if path.suffix.lower() == ".tsv" else ","
    delimiter = DELIMITER_NAMES.get(given, given)
    if len(delimiter) != 1 or delimiter in '"\r\n' or delimiter.isalnum() or not delimiter.isascii():
        names = ", ".join(DELIMITER_NAMES)
        raise ValueError(f"delimiter (--delimiter) must be one ASCII character or {names}, got {given!r}; try ';'")
    return delimiter


def csv_reader(data: bytes, delimiter: str) -> Any:
    """The rows of a file by the csv module, which counts lines; empty lines are rows of no cells."""
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""), delimiter=delimiter)


def first_rows(data: bytes, delimiter: str) -> list[list[str]]:
    """The first rows that are not empty, `SAMPLE` of them."""
    return list(islice(filter(None, csv_reader(data, delimiter)), SAMPLE))


def check_unique(columns: Sequence[str], name: str, way_out: str = "rename one") -> None:
    """Refuse column names that occur twice."""
    repeated = next(((column, times) for column, times in Counter(columns).items() if times > 1), None)
    if repeated is not None:
        raise ValueError(f"{name} must name every column once, got {repeated[0]!r} {repeated[1]} times; {way_out}")


def _check_delimiter(name: str, data: bytes, delimiter: str, rows: list[list[str]], given: bool) -> None:
    """Refuse a delimiter that does not split the first rows evenly, or less finely than another one does."""
    width = _width(rows)
    others = {other: _width(first_rows(data, other)) for other in DELIMITERS if other != delimiter}
    best = max(others, key=lambda other: others[other])
    if others[best] <= 1 or (given and width > 1):
        return
    if width <= 1 or (others[best] >= width and any(best in cell for cell in rows[0])):
        columns = f"{width} column" + "s" * (width > 1) if width else "uneven rows"
        raise ValueError(
            f"{name} has {columns} when split at every {DELIMITERS.get(delimiter, repr(delimiter))}, and "
            f"{others[best]} columns at every {DELIMITERS[best]}; pass delimiter={best!r} "
            f"(--delimiter {DELIMITERS[best]})"
        )


def _width(rows: list[list[str]]) -> int:
    """Cells of every row where all have the same number, else 0."""
    widths = {len(row) for row in rows}
    return widths.pop() if len(widths) == 1 else 0


def has_header(row: list[str], header: bool | None, expected: Sequence[str]) -> tuple[bool, str]:
    """Whether the first row names the columns (see `infer_dialect`), and a sentence where that needs one."""
    if header is not None:
        return header, ""
    consequence = f"so it is data and the columns are called column1 to column{len(row)}"
    if any(name in row for name, number in zip(expected, _are_numbers(expected), strict=True) if not number):
        return True, ""
    if expected and all(MADE_UP.fullmatch(name) for name in expected):
        return False, f"the first line does not hold the names expected, {consequence}"
    numbers = {k: cell for k, (cell, number) in enumerate(zip(row, _are_numbers(row), strict=True)) if number}
    if not numbers or any(cell.lower() in HEADER_WORDS for cell in row):
        return True, ""
    if len(numbers) > 1 and any(all(cell == str(k + start) for k, cell in numbers.items()) for start in (0, 1)):
        return True, "the numbers of the first line count the columns, so they were taken as names"
    number = next(iter(numbers.values())).strip()
    return False, (
        f"the first line holds a number ({number}), {consequence}; pass header=True (--header) if it names them"
    )


def _are_numbers(texts: Sequence[str]) -> np.ndarray:
    """(N,) bool: finite numbers, also in quotes; no header names a column so."""
    import pandas

    numbers: np.ndarray = np.isfinite(cells.floats(pandas.Series(texts, dtype=str).str.strip("\"' \t")))
    return numbers
