"""Tables from files: looked at first, then read by `datasets`, every cell of a text file as its text."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longtail.data.read.optional_packages import package, silenced
from longtail.data.read.tables.dialect import Layout, layout
from longtail.data.read.tables.sources import Source, sources

PANDAS_INDEX = "__index_level_0__"
"""How pandas calls an index in a parquet file."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A table as it stands in its files.

    Args:
        frame: N rows; the cells of text files are strings as written ("" where empty), those of parquet have types.
        name: of the file or the folder, without suffix.
        parts: (N,) of "train", "val", "test" where the names of files declare a split.
        header: whether the columns were named in the file; else they are column1 to columnD.
        notes: what was noticed and done, as sentences.
        files: (name, number of rows) of every file, in the order of the rows; none of a frame.
    """

    frame: Any
    name: str
    parts: np.ndarray | None
    header: bool
    notes: tuple[str, ...]
    files: tuple[tuple[str, int], ...] = ()


def read_table(
    source: Any, *, delimiter: str | None = None, header: bool | None = None, expected: Sequence[str] = ()
) -> Reading:
    """Read a table from .csv, .tsv or .parquet: a path, a list of paths, or a folder.

    Nothing is converted: 007 stays 007, and an integer beyond 2^53 keeps its digits. No network, no cache.

    Args:
        source: files of one table, which must have the same columns; `sources` says what a folder means.
        delimiter: one character, or tab, comma, semicolon, bar; None means a comma in .csv and a tab in .tsv.
        header: whether the first line of text files names the columns; None means as `layout` tells it.
        expected: names of which one in the first line makes it a header.

    Raises:
        ValueError: a file that cannot be read, is empty, is no table, or has other columns than the first one.
        ModuleNotFoundError: without longtail[data].
    """
    pandas = package("pandas", "tables")
    files, notes = sources(source)
    frames: list[Any] = []
    headers, parts = [], []
    for file in files:
        frame, named, said = _read(file.path, delimiter, header, expected)
        frame, dropped = _without_index(frame, file.path.name)
        _same_columns(frames[0] if frames else frame, frame, files[0].path, file.path)
        frames.append(frame[list(frames[0].columns)] if frames else frame)
        headers.append(named)
        parts.append(np.full(len(frame), file.part or "", dtype="U5"))
        notes += [*said, *dropped]
    if len(set(headers)) > 1:
        odd = files[headers.index(not headers[0])].path.name
        raise ValueError(
            f"all files of a table must begin with a header or none, got both ({files[0].path.name} and {odd}); "
            "pass header=True (--header) or header=False (--no-header)"
        )
    declared = None if files[0].part is None else np.concatenate(parts)
    alike = len({file.path.name for file in files}) < len(files)
    held = tuple((str(f.path) if alike else f.path.name, len(frame)) for f, frame in zip(files, frames, strict=True))
    return Reading(_joined(pandas, frames), _name(source, files), declared, headers[0], tuple(notes), held)


def _joined(pandas: Any, frames: list[Any]) -> Any:
    """One frame below the other; a column of two types keeps every value as it is."""
    if len(frames) == 1:
        return frames[0].reset_index(drop=True)
    mixed = [c for c in frames[0].columns if len({frame[c].dtype for frame in frames}) > 1]
    return pandas.concat([frame.astype(dict.fromkeys(mixed, object)) for frame in frames], ignore_index=True)


def _name(source: Any, files: list[Source]) -> str:
    folder = isinstance(source, str | os.PathLike) and Path(source).is_dir()
    return (Path(source).resolve().name if folder else files[0].path.stem) or "table"


def _read(path: Path, delimiter: str | None, header: bool | None, expected: Sequence[str]) -> tuple[Any, bool, Any]:
    if path.suffix.lower() == ".parquet":
        return _parquet(path), True, ()
    look = layout(path, delimiter, header, expected)
    return _delimited(path, look), look.header, look.notes


def _delimited(path: Path, look: Layout) -> Any:
    """Every cell as a string. An unnamed first column goes by a stand-in that no other column has."""
    datasets = package("datasets", "tables")
    safe = [f"c{k}" for k in range(len(look.columns))]  # names are data: the reader never sees them
    features = datasets.Features({name: datasets.Value("large_string") for name in safe})
    options = {
        "sep": look.delimiter,
        "header": 0 if look.header else None,
        "names": safe,
        "features": features,
        "na_filter": False,  # NA and nan are text
        "index_col": False,
        "encoding": "utf-8-sig",
    }
    frame = _loaded("csv", path, options).to_pandas()
    if len(frame) != look.rows:
        raise ValueError(f"{path.name} must hold {look.rows} rows by its lines, got {len(frame)}; check its quotes")
    return frame.set_axis(list(look.columns), axis=1)


def _parquet(path: Path) -> Any:
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty (0 bytes); write the table again")
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names, rows = list(file.schema_arrow.names), file.metadata.num_rows
    except Exception as error:  # whatever the reader raises
        raise ValueError(_unreadable(path, error)) from None
    twin = next((name for name in names if names.count(name) > 1), None)
    if twin is not None:
        raise ValueError(f"{path.name} must name every column once, got {twin!r} {names.count(twin)} times; rename one")
    if rows == 0:
        raise ValueError(f"{path.name} holds no rows; add rows")
    # integers with gaps never pass through float
    return _loaded("parquet", path, {}).to_pandas(integer_object_nulls=True, ignore_metadata=True)


def _loaded(kind: str, path: Path, options: dict[str, Any]) -> Any:
    """One file as an Arrow table, through `datasets`, in a private folder that goes away."""
    datasets = package("datasets", "tables")
    with tempfile.TemporaryDirectory(prefix="longtail-") as private, silenced():
        link = Path(private) / f"table.{kind}"  # a name of ours: datasets reads patterns and addresses into names
        try:
            link.symlink_to(path.resolve())
        except OSError:  # where links need a privilege
            shutil.copyfile(path, link)
        try:
            rows = datasets.load_dataset(
                kind,
                data_files={"table": [str(link)]},
                split="table",
                cache_dir=f"{private}/cache",
                keep_in_memory=True,
                **options,
            )
            return rows.with_format("arrow")[:]
        except Exception as error:  # whatever the readers raise
            raise ValueError(_unreadable(path, error)) from None


def _unreadable(path: Path, error: Exception) -> str:
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    said = (str(error) or type(error).__name__).splitlines()[0]
    said = "a quote is not closed" if "EOF inside string" in said else said
    said = "it is cut short or of another kind" if "Parquet magic bytes" in said else said
    return f"{path.name} cannot be read as a {path.suffix.lower()[1:]} table ({said}); write it again"


def _without_index(frame: Any, name: str) -> tuple[Any, list[str]]:
    """Without the row numbers that pandas writes beside a table."""
    for column in ("", PANDAS_INDEX):
        if column in frame.columns:
            cells = frame[column].astype(str).tolist()
            if any(cells == [str(k + first) for k in range(len(cells))] for first in (0, 1)):
                return frame.drop(columns=[column]), [f"{name}: the row numbers in its unnamed column were left out"]
            raise ValueError(f"{name}: column {list(frame.columns).index(column) + 1} has no name; name it in the file")
    return frame, []


def _same_columns(first: Any, frame: Any, path: Path, other: Path) -> None:
    missing = [c for c in first.columns if c not in frame.columns]
    extra = [c for c in frame.columns if c not in first.columns]
    if missing or extra:
        what = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r} beside them"
        raise ValueError(
            f"all files of a table must have the columns of {path.name}, but {other.name} {what}; "
            "write the same columns, or name one file"
        )
