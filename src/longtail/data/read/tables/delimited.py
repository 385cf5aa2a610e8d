"""Delimited text files (.csv, .tsv) as tables: pyarrow reads them, every cell as its text."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from longtail.data.read.optional_packages import package
from longtail.data.read.tables.dialect import Dialect, csv_reader, delimiter_of, infer_dialect

LONGEST = 2**26
"""Bytes that one row may have."""


def read_delimited(
    path: Path, delimiter: str | None = None, header: bool | None = None, expected: Sequence[str] = ()
) -> tuple[Any, Dialect]:
    """A frame of strings, "" where a cell is empty, and how the file was read. Empty lines are no rows.

    Args:
        path: of a regular file.
        delimiter: one character, or a name of it; by default a comma in .csv and a tab in .tsv.
        header, expected: see `infer_dialect`.

    Raises:
        ValueError: an empty file, only a header, UTF-16 or anything else that is not UTF-8, another delimiter, a
            column name twice or missing, a row with more or fewer cells than the first, a quote that is not closed.
    """
    data = utf8(path)
    limit = csv.field_size_limit(2**31 - 1)
    try:
        dialect = infer_dialect(path.name, data, delimiter_of(path, delimiter), delimiter is not None, header, expected)
        rows = _rows(path.name, data, dialect)
    finally:
        csv.field_size_limit(limit)
    if len(rows) == 0:
        raise ValueError(
            f"{path.name} holds a header and no rows; add rows, or pass header=False (--no-header) if the line is data"
        )
    if data.startswith(codecs.BOM_UTF8):
        note = f"{path.name} begins with a byte order mark, which was not taken as part of the first cell"
        dialect = dialect._replace(notes=(note, *dialect.notes))
    return rows.to_pandas(), dialect


def utf8(path: Path) -> bytes:
    """The bytes of a file, once they are known to be text in UTF-8."""
    data = path.read_bytes()
    if not data:
        raise ValueError(f"{path.name} is empty (0 bytes); write the table again")
    try:
        data.decode()
        wrong = data.find(b"\0")
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong >= 0:
        likely, encoding = ("UTF-16, UTF-32 or no text", "UTF-16") if b"\0" in data else ("another encoding", "LATIN1")
        raise ValueError(
            f"{path.name} must be text in UTF-8, got byte 0x{data[wrong]:02x} in line "
            f"{len(data[: wrong + 1].splitlines())} ({likely}); save it as UTF-8 (iconv -f {encoding} -t UTF-8)"
        )
    return data


def _rows(name: str, data: bytes, dialect: Dialect) -> Any:
    """The rows as an Arrow table of strings, without the header."""
    arrow_csv, pyarrow = package("pyarrow.csv", "tables"), package("pyarrow", "tables")
    columns = list(dialect.columns)
    # a quote that is not closed swallows this last row of empty cells, which is how it shows
    end = '\n""' + dialect.delimiter * (len(columns) - 1) + "\n"
    data += end.encode()
    try:
        table = arrow_csv.read_csv(
            pyarrow.BufferReader(data),
            arrow_csv.ReadOptions(column_names=columns, block_size=LONGEST),
            arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pyarrow.large_string()), strings_can_be_null=False, check_utf8=False
            ),
        )
        if not any(cell.as_py() for column in table.columns for cell in column[-1:]):
            return table.slice(dialect.header, len(table) - 1 - dialect.header)
        reason = "a quote is not closed"
    except pyarrow.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
    raise ValueError(_what_is_wrong(name, data, dialect, end) or f"{name} cannot be read as a table ({reason})")


def _what_is_wrong(name: str, data: bytes, dialect: Dialect, end: str) -> str:
    """The first row that cannot be read and why; "" where the csv module reads them all."""
    reader, width, begin = csv_reader(data, dialect.delimiter), len(dialect.columns), 1
    for row in reader:
        if row and row[-1].endswith(end.replace('""', '"')):
            return f"{name}: a quote is not closed in the row that begins in line {begin}; close it, or double it"
        if row and len(row) != width:
            return (
                f"{name}: every row must have {width} cells as the first has, got {len(row)} in line {reader.line_num},"
                f" which begins {dialect.delimiter.join(row)[:40]!r}; correct the row, or check --delimiter"
            )
        begin = reader.line_num + 1
    return ""
