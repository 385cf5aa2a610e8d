"""Files that are written whole or not at all, their checksums, and the removal of unfinished ones. No torch here."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TEMPORARY = ("*.tmp", "checkpoint/*.tmp", "stages/*/*.tmp")
"""Where the folder of a run or of a comparison has temporary files."""
ABANDONED = 3600.0
"""Seconds after which a temporary file in a shared folder belongs to no running process."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Inside, write to the yielded temporary file beside `path`; afterwards it replaces `path` in one step.

    On an exception `path` is unchanged and the temporary file removed.

    Raises:
        OSError: the file cannot be written; names `path`.
    """
    # random, so that two processes or threads never write to one file
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Inside, every OSError names `path`, whichever file the system complained about."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step; line ends stay as they are."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON in one step, keys in the order given; ValueError for NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def remove_unfinished(folder: Path, *, shared: bool = False) -> None:
    """Remove the temporary files of processes that were killed.

    Args:
        folder: of a run, a comparison or a cache.
        shared: whether other processes may be writing there, so that only files older than an hour are removed.
    """
    oldest = time.time() - ABANDONED
    for path in (path for pattern in TEMPORARY for path in folder.glob(pattern)):
        with suppress(FileNotFoundError):  # its process has just finished
            if not shared or path.stat().st_mtime < oldest:
                path.unlink()


def checksum(*parts: Any) -> str:
    """SHA-256 in hex of bytes, or of other buffers, one after another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def file_checksum(path: Path) -> str:
    """SHA-256 in hex of a file, which may be larger than memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_checksum(value: Any, separators: tuple[str, str] = (", ", ": ")) -> str:
    """SHA-256 in hex of a value as JSON text with sorted names."""
    return checksum(json.dumps(value, sort_keys=True, separators=separators).encode())
