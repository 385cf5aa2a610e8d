"""Tables from files, every cell of a text file as its text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longtail.data.read.optional_packages import package
from longtail.data.read.tables import json_lines, workbook
from longtail.data.read.tables.delimited import read_delimited
from longtail.data.read.tables.dialect import check_unique
from longtail.data.read.tables.sources import TEXT_SUFFIXES, Source, sources

PANDAS_INDEX = "__index_level_0__"
"""How pandas calls an index in a parquet file."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A table as its files hold it.

    Args:
        frame: N rows; the cells of text files are strings as written ("" where empty), those of parquet have types.
        name: of the file or the folder, without suffix.
        parts: (N,) of "train", "val", "test" where the names of files declare a split.
        header: whether the columns were named in the file; else they are column1 to columnD.
        notes: sentences on what was inferred and left out.
        files: (name, number of rows) of every file, in the order of the rows; none of a frame.
    """

    frame: Any
    name: str
    parts: np.ndarray | None
    header: bool
    notes: tuple[str, ...]
    files: tuple[tuple[str, int], ...] = ()


def read_table(
    source: Any, *, delimiter: str | None = None, header: bool | None = None, expected: Sequence[str] = (),
    worksheet: str | None = None,
) -> Reading:  # fmt: skip
    """Read a table from .csv, .tsv, .parquet, .xlsx, .jsonl or .ndjson: a path, a list of paths, or a folder.

    Nothing is converted: 007 stays 007, and an integer beyond 2^53 keeps its digits.

    Args:
        source: files of one table, which must have the same columns; `sources` says what a folder means.
        delimiter: one character, or tab, comma, semicolon, bar; None means a comma in .csv and a tab in .tsv.
        header: whether the first line of text files names the columns; None infers it (see `infer_dialect`).
        expected: names of which one in the first line makes it a header.
        worksheet: of .xlsx files; None takes the first.

    Raises:
        ValueError: an option for other files, a file that cannot be read, is empty, is no table, or has other columns
            than the first one.
        ModuleNotFoundError: without longtail[data].
    """
    pandas = package("pandas", "tables")
    files, notes = sources(source)
    _check_options([path for path, _ in files], delimiter, header, worksheet)
    frames: list[Any] = []
    headers, parts = [], []
    for path, part in files:
        if path.suffix.lower() == ".parquet":
            frame, has_header = _read_parquet(path), True
        elif path.suffix.lower() in json_lines.SUFFIXES:
            frame, has_header = json_lines.read_json_lines(path), True
        elif path.suffix.lower() == workbook.SUFFIX:
            frame, has_header, more = workbook.read_workbook(path, worksheet, header, expected)
            notes += more
        else:
            frame, dialect = read_delimited(path, delimiter, header, expected)
            has_header = dialect.header
            notes += dialect.notes
        frame, index_notes = _without_index(frame, path.name)
        notes += index_notes
        _check_same_columns(frames[0] if frames else frame, frame, files[0].path, path)
        frames.append(frame[list(frames[0].columns)] if frames else frame)
        headers.append(has_header)
        parts.append(np.full(len(frame), part or "", dtype="U5"))
    if len(set(headers)) > 1:
        odd = files[headers.index(not headers[0])].path.name
        raise ValueError(
            f"all files of a table must begin with a header or none, got both ({files[0].path.name} and {odd}); "
            "pass header=True (--header) or header=False (--no-header)"
        )
    declared = None if files[0].part is None else np.concatenate(parts)
    ambiguous = len({file.path.name for file in files}) < len(files)
    names = [str(file.path) if ambiguous else file.path.name for file in files]
    sizes = tuple(zip(names, map(len, frames), strict=True))
    return Reading(_concatenated(pandas, frames), _name(source, files), declared, headers[0], tuple(notes), sizes)


def _check_options(paths: list[Path], delimiter: str | None, header: bool | None, worksheet: str | None) -> None:
    """Refuse an option that none of these files reads; parquet files have always passed over the first two."""
    suffixes = {path.suffix.lower() for path in paths} - {".parquet"}
    of_text, lines = suffixes & {*TEXT_SUFFIXES}, suffixes & {*json_lines.SUFFIXES}
    if suffixes and not of_text and delimiter is not None:
        raise ValueError(f"delimiter (--delimiter) is read for .csv and .tsv files, not for {paths[0].name}; drop it")
    if lines == suffixes and lines and header is not None:
        raise ValueError(f"header (--header, --no-header) is not read for {paths[0].name}, whose lines name each value")
    if worksheet is not None and workbook.SUFFIX not in suffixes:
        raise ValueError(f"worksheet (--worksheet) is read for .xlsx files, not for {paths[0].name}; leave it out")


def _concatenated(pandas: Any, frames: list[Any]) -> Any:
    """One frame below the other; a column of two types keeps every value as it is."""
    if len(frames) == 1:
        return frames[0].reset_index(drop=True)
    mixed = [c for c in frames[0].columns if len({frame[c].dtype for frame in frames}) > 1]
    return pandas.concat([frame.astype(dict.fromkeys(mixed, object)) for frame in frames], ignore_index=True)


def _name(source: Any, files: list[Source]) -> str:
    folder = isinstance(source, str | os.PathLike) and Path(source).is_dir()
    return (Path(source).resolve().name if folder else files[0].path.stem) or "table"


def _read_parquet(path: Path) -> Any:
    parquet, pyarrow = package("pyarrow.parquet", "tables"), package("pyarrow", "tables")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty (0 bytes); write the table again")
    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except Exception as error:  # whatever the reader raises
        reason = (str(error) or type(error).__name__).splitlines()[0]
        reason = "it is cut short or of another kind" if "Parquet magic bytes" in reason else reason
        raise ValueError(f"{path.name} cannot be read as a parquet table ({reason}); write it again") from None
    check_unique(table.column_names, path.name)
    if len(table) == 0:
        raise ValueError(f"{path.name} holds no rows; add rows")
    for k, column in enumerate(table.columns):  # a categorical is read as its values
        if pyarrow.types.is_dictionary(column.type):
            table = table.set_column(k, table.column_names[k], column.cast(column.type.value_type))
    # integers with gaps never pass through float
    return table.to_pandas(integer_object_nulls=True, ignore_metadata=True)


def _without_index(frame: Any, name: str) -> tuple[Any, list[str]]:
    """Without the row numbers that pandas writes beside a table."""
    for column in ("", PANDAS_INDEX):
        if column in frame.columns:
            numbers = frame[column].astype(str).tolist()
            if any(numbers == [str(k + first) for k in range(len(numbers))] for first in (0, 1)):
                return frame.drop(columns=[column]), [f"{name}: the row numbers in its unnamed column were left out"]
            raise ValueError(f"{name}: column {list(frame.columns).index(column) + 1} has no name; name it in the file")
    return frame, []


def _check_same_columns(first: Any, frame: Any, path: Path, other: Path) -> None:
    missing = [c for c in first.columns if c not in frame.columns]
    extra = [c for c in frame.columns if c not in first.columns]
    if missing or extra:
        what = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r} beside them"
        raise ValueError(
            f"all files of a table must have the columns of {path.name}, but {other.name} {what}; "
            "write the same columns, or name one file"
        )
