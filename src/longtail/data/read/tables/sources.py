"""The files of a table: one, several, or a folder whose file names declare a split."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from longtail.data.read.column_roles import SPLIT_NAMES
from longtail.facts.paths import regular, status

TEXT_SUFFIXES = (".csv", ".tsv")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".xlsx", ".jsonl", ".ndjson")
OF_IMAGES = ("metadata",)
"""Names of tables that describe a folder of images."""


class Source(NamedTuple):
    """One file and the part of a declared split that it holds, if any."""

    path: Path
    part: str | None


def is_table(path: str | Path) -> bool:
    """Whether the name or, for a folder, the names of the files directly in it are those of a table."""
    path = Path(path)
    if not os.path.isdir(path):
        return path.suffix.lower() in SUFFIXES
    return any(p.suffix.lower() in SUFFIXES and p.stem.lower() not in OF_IMAGES for p in path.iterdir())


def sources(source: Any) -> tuple[list[Source], list[str]]:
    """The files of a path, a list of paths or a folder, in a fixed order, and notes on files that are not read.

    A folder's files train*, val* (valid, validation, dev, eval) and test* declare a split; without any of these
    all its tables are read as one. Folders are not searched further down.

    Raises:
        ValueError: no such file, another kind of file, not readable, a symbolic link that loops, a folder without
            tables, a declared split without a training part.
        TypeError: neither a path nor a list of paths.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _folder(path) if stat.S_ISDIR(status(path).st_mode) else ([Source(_checked(path), None)], [])
    if isinstance(source, Sequence) and source and all(isinstance(s, str | os.PathLike) for s in source):
        return [Source(_checked(Path(s)), None) for s in source], []
    raise TypeError(f"a table must be a path, a list of paths or a folder, got {type(source).__name__}; name its file")


def _folder(folder: Path) -> tuple[list[Source], list[str]]:
    try:
        tables = sorted(
            p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith((".", "~$"))
        )
    except OSError as error:
        raise ValueError(f"folder {str(folder)!r} cannot be listed ({error.strerror}); check its permissions") from None
    if not tables:
        raise ValueError(
            f"folder {str(folder)!r} must hold {', '.join(SUFFIXES)} files, got none; name the table itself"
        )
    parts = {path: _part(path) for path in tables}
    if not any(parts.values()):
        note = f"{len(tables)} files of {folder.name} are read as one table: {_names(tables)}"
        return [Source(_checked(path), None) for path in tables], [note] if len(tables) > 1 else []
    if "train" not in parts.values():
        raise ValueError(
            f"folder {str(folder)!r} declares a split without a train* file, got {_names(tables)}; "
            "add one, or name the file to read"
        )
    rest = [path for path, part in parts.items() if part is None]
    notes = [f"{folder.name} declares a split by its file names; not read: {_names(rest)}"] if rest else []
    return [Source(_checked(path), part) for path, part in parts.items() if part is not None], notes


def _names(paths: list[Path]) -> str:
    return ", ".join(p.name for p in paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")


def _part(path: Path) -> str | None:
    """train-00000-of-00002.parquet, test.csv, val_1.tsv: the letters that a file's name begins with."""
    return SPLIT_NAMES.get(re.split(r"[^a-z]", path.name.lower(), maxsplit=1)[0])


def _checked(path: Path) -> Path:
    regular(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a table must be a {', '.join(SUFFIXES)} file, got {path.name!r}; rename or convert it")
    return path
