"""What a delimited text file looks like: its bytes are looked at before anything reads it as a table."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|", "space": " "}
UTF_16_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LOOK = 20
"""Lines from which a wrong delimiter is told."""

CELL = 2**24
"""Characters that one cell may hold; a quote that never closes runs on to there."""

NUMBER = re.compile(r"""\s*(["']?)[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\1\s*""")
"""A number, or a number in quotes: no header names a column so."""

TELLING = ("label", "target", "class")
"""Words that stand in a header, whatever numbers stand beside them, and hardly ever in data."""

MADE_UP = re.compile(r"column[1-9][0-9]*")
"""How we call the columns of a file without a header."""


class Layout(NamedTuple):
    """How one file is to be read; `rows` are data rows without the header, `notes` say what was noticed."""

    delimiter: str
    columns: tuple[str, ...]
    header: bool
    rows: int
    notes: tuple[str, ...]


def layout(
    path: Path, delimiter: str | None = None, header: bool | None = None, expected: Sequence[str] = ()
) -> Layout:
    """How a .csv or .tsv file is to be read, once all of its lines have been looked at.

    The delimiter is a comma in .csv and a tab in .tsv unless given. Without `header`, the first line is data where
    one of its cells is a number, be it quoted, and names the columns where none is. It also names them where it
    holds one of the `expected` names or the word label, target or class, or where its numbers count the columns
    (0, 1, 2, ..., as pandas writes them). Columns without a header are called column1 to columnD.

    Raises:
        ValueError: an empty file, only a header, UTF-16 or anything else that is not UTF-8, another delimiter, a
            column name twice or missing, a row with more or fewer cells than the first.
    """
    notes = _encoding(path)
    sep = delimiter_of(path, delimiter)
    before = csv.field_size_limit(CELL)
    try:
        first = [row for _, row in islice(_lines(path, sep), LOOK)]
        if not first:
            raise ValueError(f"{path.name} holds only empty lines; write the table again")
        _check_delimiter(path, sep, first, given=delimiter is not None)
        named, why = _has_header(first[0], header, expected)
        columns = _names(first[0], path.name) if named else tuple(f"column{k + 1}" for k in range(len(first[0])))
        rows = _counted(path, sep, len(columns)) - named
    finally:
        csv.field_size_limit(before)
    if rows == 0:
        raise ValueError(
            f"{path.name} holds a header and no rows; add rows, or pass header=False (--no-header) if the line is data"
        )
    return Layout(sep, columns, named, rows, (*notes, *([f"{path.name}: {why}"] if why else [])))


def delimiter_of(path: Path, given: str | None) -> str:
    """The delimiter by option, else by suffix."""
    if given is None:
        return "\t" if path.suffix.lower() == ".tsv" else ","
    one = NAMED.get(given, given)
    if len(one) != 1 or one in '"\r\n' or one.isalnum():
        raise ValueError(f"delimiter (--delimiter) must be one character or {', '.join(NAMED)}, got {given!r}; try ';'")
    return one


def _encoding(path: Path) -> list[str]:
    with open(path, "rb") as file:
        start = file.read(4096)
    if not start:
        raise ValueError(f"{path.name} is empty (0 bytes); write the table again")
    if start.startswith(UTF_16_32) or b"\0" in start:
        kind = "UTF-16 or UTF-32" if start.startswith(UTF_16_32) else "UTF-16, or no text at all"
        raise ValueError(f"{path.name} must be text in UTF-8, got {kind}; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    if start.startswith(codecs.BOM_UTF8):
        return [f"{path.name} begins with a byte order mark, which was not taken as part of the first cell"]
    return []


def _lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of the file, without empty lines."""
    reader = None
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(_without_nul(file), delimiter=delimiter)
            yield from ((reader.line_num, row) for row in reader if row)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be text in UTF-8, got byte 0x{error.object[error.start]:02x} in line "
            f"{_undecodable(path)}; save it as UTF-8 (iconv -f LATIN1 -t UTF-8)"
        ) from None
    except csv.Error as error:
        line = reader.line_num if reader else 0
        raise ValueError(f"{path.name}, line {line}, cannot be read ({error}); is a quote not closed?") from None


def _undecodable(path: Path) -> int:
    """The number of the first line that is not UTF-8; a reader of text looks ahead and does not know it."""
    number = 1
    with open(path, encoding="latin-1") as lines:  # byte by byte, with the same ends of lines
        for line in lines:
            try:
                line.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError:
                break
            number += 1
    return number


def _without_nul(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            raise csv.Error("a NUL character, so it is no text")
        yield line


def _check_delimiter(path: Path, delimiter: str, first: list[list[str]], given: bool) -> None:
    """Refuse where another delimiter cuts the first lines alike and this one does not."""
    width = _width(first)
    others = {o: _width([row for _, row in islice(_lines(path, o), LOOK)]) for o in DELIMITERS if o != delimiter}
    wider = {o: w for o, w in others.items() if w > 1}
    if not wider or (given and width > 1):
        return
    other, fits = max(wider.items(), key=lambda pair: pair[1])
    if width <= 1 or (fits >= width and any(other in cell for cell in first[0])):
        here = f"{width} column" + "s" * (width > 1) if width else "uneven rows"
        raise ValueError(
            f"{path.name} has {here} when cut at every {DELIMITERS.get(delimiter, repr(delimiter))}, and {fits} "
            f"columns at every {DELIMITERS[other]}; pass delimiter={other!r} (--delimiter {DELIMITERS[other]})"
        )


def _width(rows: list[list[str]]) -> int:
    """Cells of every row where all have the same number, else 0."""
    widths = {len(row) for row in rows}
    return widths.pop() if len(widths) == 1 else 0


def _has_header(cells: list[str], header: bool | None, expected: Sequence[str]) -> tuple[bool, str]:
    """Whether the first line names the columns, and what to say about it."""
    if header is not None:
        return header, ""
    shown = f"so it is data and the columns are called column1 to column{len(cells)}"
    if any(name in cells for name in expected if not NUMBER.fullmatch(name)):
        return True, ""
    if expected and all(MADE_UP.fullmatch(name) for name in expected):
        return False, f"the first line does not hold the names expected, {shown}"
    numbers = [(str(k), str(k + 1), cell) for k, cell in enumerate(cells) if NUMBER.fullmatch(cell)]
    if not numbers or any(cell.lower() in TELLING for cell in cells):
        return True, ""
    if len(numbers) > 1 and any(all(entry[2] == entry[first] for entry in numbers) for first in (0, 1)):
        return True, "the numbers of the first line count the columns, so they were taken as names"
    number = numbers[0][2].strip()
    return False, f"the first line holds a number ({number}), {shown}; pass header=True (--header) if it names them"


def _names(cells: list[str], name: str) -> tuple[str, ...]:
    twin = next((cell for cell, n in Counter(cells).items() if n > 1 and cell), None)
    if twin is not None:
        raise ValueError(
            f"{name} must name every column once, got {twin!r} {cells.count(twin)} times; rename one, "
            "or pass header=False (--no-header) if the first line is data"
        )
    if "" in cells[1:]:
        raise ValueError(f"{name}: column {cells.index('', 1) + 1} has no name; name it in the first line")
    return tuple(cells)


def _counted(path: Path, delimiter: str, width: int) -> int:
    """The number of rows, once each of them has as many cells as the first."""
    number = 0
    for line, row in _lines(path, delimiter):
        number += 1
        if len(row) != width:
            raise ValueError(
                f"{path.name}: every row must have {width} cells as the first has, got {len(row)} in line {line}, "
                f"which begins {delimiter.join(row)[:40]!r}; mend the row, or check --delimiter"
            )
    return number
