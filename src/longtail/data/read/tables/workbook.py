"""Excel workbooks (.xlsx) as tables: one sheet, formulas as the values that are stored beside them."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from longtail.data.read.optional_packages import package
from longtail.data.read.tables import typed
from longtail.data.read.tables.dialect import check_unique, has_header
from longtail.facts.messages import quoted

SUFFIX = ".xlsx"
LARGEST = 2 << 30
"""Bytes that a workbook may unpack to."""

OLD = b"\xd0\xcf\x11\xe0"
"""How a file begins that a password protects, and one of an Excel before 2007."""


class Sheet(NamedTuple):
    """A sheet as a frame, whether its first row names the columns, and sentences on what was left out."""

    frame: Any
    header: bool
    notes: tuple[str, ...]


class _Row(NamedTuple):
    number: int
    values: tuple[Any, ...]


def read_workbook(
    path: Path, sheet: str | None = None, header: bool | None = None, expected: Sequence[str] = ()
) -> Sheet:
    """Read one sheet: its first row that is not empty names the columns, unless it holds a number.

    Empty rows and columns are left out. Errors of formulas, such as #N/A, are missing cells, which is said; a formula
    without a stored value is refused, and so are merged cells, of which only the first has a value. Dates stay dates,
    times of day and durations are text.

    Args:
        path: of a regular file.
        sheet: its name; None takes the first one.
        header, expected: see `infer_dialect`.

    Raises:
        ValueError: no workbook, a password, no such sheet, no rows, merged cells, a formula without a value, a column
            name twice or missing.
    """
    data = path.read_bytes()
    _check(path.name, data)
    names, title, rows, notes = _rows(path.name, data, sheet)
    if not rows:
        raise ValueError(
            f"{path.name}: sheet {quoted(title)} holds no cells; name another with worksheet= (--worksheet)"
        )
    if sheet is None and len(names) > 1:
        others = ", ".join(map(quoted, [name for name in names if name != title][:5]))
        notes.insert(0, f"{path.name}: sheet {quoted(title)} was read, not {others}; --worksheet names another")
    used = [k for k in range(max(len(row.values) for row in rows)) if any(_cell(row, k) is not None for row in rows)]
    first = [typed.text(_cell(rows[0], k)).strip() for k in used]
    named, reason = has_header(first, header, expected)
    if named and "" in first:
        at = f"{_letters(used[first.index('')])}{rows[0].number}"
        raise ValueError(f"{path.name}: the column below {at} has no name; name it in the first row of the table")
    columns = first if named else [f"column{k + 1}" for k in range(len(used))]
    check_unique(columns, path.name, "rename one, or pass header=False (--no-header) if the first row is data")
    body = rows[named:]
    if not body:
        raise ValueError(
            f"{path.name}: sheet {quoted(title)} holds a header and no rows; add rows, or name another sheet "
            "with worksheet= (--worksheet)"
        )
    if skipped := body[-1].number - rows[0].number + 1 - len(rows):
        many = "1 empty row" if skipped == 1 else f"{skipped} empty rows"
        notes.append(f"{path.name}: {many} of sheet {quoted(title)} {'was' if skipped == 1 else 'were'} left out")
    frame = package("pandas", "tables").DataFrame(
        {name: typed.series([_cell(row, k) for row in body]) for name, k in zip(columns, used, strict=True)}
    )
    return Sheet(frame, bool(named), (*notes, *([f"{path.name}: {reason}"] if reason else ())))


def _check(name: str, data: bytes) -> None:
    """Refuse what is no workbook, before anything of it is read."""
    if not data:
        raise ValueError(f"{name} is empty (0 bytes); save the workbook again")
    if data.startswith(OLD):
        raise ValueError(f"{name} is protected by a password, or an old .xls file; save it as .xlsx without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ValueError(f"{name} is no .xlsx workbook, or damaged ({error}); save it again") from None
    if size > LARGEST:
        raise ValueError(f"{name} must unpack to at most {LARGEST} bytes, got {size}; save its table as .csv")


def _rows(name: str, data: bytes, sheet: str | None) -> tuple[list[str], str, list[_Row], list[str]]:
    """The names of all sheets, of the one that is read, its rows that are not empty, and notes."""
    openpyxl = package("openpyxl", "workbooks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # extensions, styles and validations that it does not know
        try:
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            names = [one.title for one in book.worksheets]
            chosen = next((one for one in book.worksheets if sheet in (None, one.title)), None)
            if chosen is None:
                listed = ", ".join(map(quoted, names[:8])) or "none with cells"
                raise _RefusedError(
                    f"worksheet (--worksheet) must be a sheet of {name}, got {quoted(sheet)}; it has {listed}"
                )
            title = chosen.title
            merged, has_formulas = _marks(data, chosen)
            if merged:
                raise _RefusedError(
                    f"{name}: sheet {quoted(title)} has merged cells ({merged}), of which only the first has a value; "
                    "unmerge them and fill each cell"
                )
            formulas: set[tuple[int, int]] = set()
            if has_formulas:
                written = openpyxl.load_workbook(io.BytesIO(data), read_only=True)[title]
                formulas = {(c.row, c.column) for row in _cells(written) for c in row if c.data_type == "f"}
            return names, title, *_values(name, chosen, formulas)
        except _RefusedError as refused:
            raise ValueError(str(refused)) from None
        except Exception as error:  # whatever a damaged workbook makes the reader raise
            reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
            raise ValueError(f"{name} cannot be read as a workbook ({reason}); save it again") from None


class _RefusedError(Exception):
    """The workbook can be read and must not be."""


def _cells(sheet: Any) -> Iterator[list[Any]]:
    """The cells of every row that has any; what a sheet says of its size is often wrong."""
    sheet.reset_dimensions()
    for row in sheet.iter_rows():
        yield [cell for cell in row if getattr(cell, "row", None) is not None]


def _values(name: str, sheet: Any, formulas: set[tuple[int, int]]) -> tuple[list[_Row], list[str]]:
    rows: list[_Row] = []
    errors: list[str] = []
    for row in _cells(sheet):
        values: dict[int, Any] = {}
        for cell in row:
            value = cell.value
            if value is None and cell.data_type != "str" and (cell.row, cell.column) in formulas:
                raise _RefusedError(
                    f"{name}: cell {cell.coordinate} holds a formula without a stored value; open the workbook in a "
                    "spreadsheet program and save it, or paste values"
                )
            if cell.data_type == "e":
                errors.append(f"{value} in {cell.coordinate}")
                value = None
            if value is not None and not (isinstance(value, str) and not value.strip()):
                values[cell.column - 1] = value
        if values:
            rows.append(_Row(row[0].row, tuple(values.get(k) for k in range(max(values) + 1))))
    many = f"{len(errors)} cells hold errors of formulas" if len(errors) > 1 else "a cell holds the error of a formula"
    return rows, [f"{name}: {many}, read as missing, the first {errors[0]}"] if errors else []


def _marks(data: bytes, sheet: Any) -> tuple[str, bool]:
    """The first merged range of a sheet, "" where there is none, and whether it has formulas."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        xml = archive.read(sheet._worksheet_path.removeprefix("/"))
    merged = re.search(rb"<(?:\w+:)?mergeCell\b[^>]*\bref=[\"']([A-Z0-9:]+)[\"']", xml)
    return merged[1].decode() if merged else "", re.search(rb"<(?:\w+:)?f[\s>/]", xml) is not None


def _cell(row: _Row, k: int) -> Any:
    return row.values[k] if k < len(row.values) else None


def _letters(column: int) -> str:
    """A of column 0, AA of column 26."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
