"""What lies in a folder of images, looked at before anything is decoded: cheap, in one order, and never in a circle."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (
    ".apng", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
"""What an image file's name ends with, in either case; what is inside decides how it is decoded."""

METADATA = "metadata.csv"
ARCHIVERS = ("__MACOSX", "__pycache__")
"""Folders that programs leave behind; like names that begin with a dot they are not looked into."""


@dataclass(frozen=True)
class Tree:
    """The files below `root` as relative paths with forward slashes, each list sorted.

    `images` are to be read, `folders` were looked into, `metadata` are the files called metadata.csv, and
    `ignored` is everything else, hidden files and folders included.
    """

    root: Path
    images: tuple[str, ...]
    folders: tuple[str, ...]
    metadata: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def name(self) -> str:
        """The folder's own name, for tables."""
        return self.root.resolve().name or "images"

    def inside(self, folder: str) -> list[str]:
        """The images below a folder, at any depth."""
        return [path for path in self.images if path.startswith(f"{folder}/")]


def scan(folder: str | Path) -> Tree:
    """Everything below a folder; links are followed, the result does not depend on the order of its entries.

    Raises:
        ValueError: no such folder, a folder that may not be read, a link to a folder it lies in, a link to
            nothing or something that is no file (a pipe, a device) under the name of an image, a name that
            is not Unicode or that `datasets` would take for an address.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "does not exist" if not root.exists() else "is not a folder"
        raise ValueError(f"image folder {str(folder)!r} {what}; check the path")
    images: list[str] = []
    folders: list[str] = []
    metadata: list[str] = []
    ignored: list[str] = []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        inside, above = waiting.pop()
        here = _identity(root / inside)
        if here in above:
            raise ValueError(
                f"folder {inside!r} is a link to a folder that it lies in (a symlink loop); remove the link"
            )
        for name in _entries(root, inside):
            path = f"{inside}/{name}" if inside else name
            if name.startswith(".") or name in ARCHIVERS:
                ignored.append(path)
                continue
            _check_name(path)
            mode = _mode(root / path, path)
            if stat.S_ISDIR(mode):
                folders.append(path)
                waiting.append((path, above | {here}))
            elif name == METADATA:
                metadata.append(path)
            elif not name.lower().endswith(SUFFIXES):
                ignored.append(path)
            elif stat.S_ISREG(mode):
                images.append(path)
            else:
                raise ValueError(
                    f"{path!r} has the name of an image and is neither a file nor a link to one; remove it"
                )
    found = (tuple(sorted(paths)) for paths in (images, folders, metadata, ignored))
    return Tree(root, *found)


def listed(paths: list[str] | tuple[str, ...], most: int = 3) -> str:
    """The first few of many names, for a message."""
    shown = ", ".join(map(repr, paths[:most]))
    return shown + (f" and {len(paths) - most} more" if len(paths) > most else "")


def _entries(root: Path, inside: str) -> list[str]:
    try:
        return os.listdir(root / inside)
    except OSError as error:
        raise ValueError(
            f"folder {inside or str(root)!r} cannot be read ({error.strerror or type(error).__name__}); "
            "give yourself the right to read it or move it away"
        ) from None


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _mode(path: Path, name: str) -> int:
    """What a path is in the end; 0 for a link to nothing."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return 0
    except OSError as error:  # a link to itself says ELOOP
        raise ValueError(
            f"path {name!r} cannot be read ({error.strerror or type(error).__name__}); mend or remove it"
        ) from None


def _check_name(path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"file names must be Unicode, got {path!a}; rename it") from None
    if "::" in path or "://" in path:
        raise ValueError(f"file names must not hold '::' or '://', which mean addresses, got {path!r}; rename it")
