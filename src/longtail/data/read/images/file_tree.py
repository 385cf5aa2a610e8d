"""List a folder of images before anything is decoded: relative paths in sorted order, symbolic links followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longtail.facts.paths import status

SUFFIXES = (
    ".apng", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
"""What an image file's name ends with, in either case; the content decides how it is decoded."""

METADATA = "metadata.csv"
ARCHIVERS = ("__MACOSX", "__pycache__")
"""Folders that programs leave behind; they are ignored, as are names that begin with a dot."""


@dataclass(frozen=True)
class Tree:
    """The files below `root` as relative paths with forward slashes, each tuple sorted.

    `images` are to be read, `folders` were searched, `metadata` are the files called metadata.csv, and `ignored` is
    everything else, hidden files and folders included.
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

    def images_below(self, folder: str) -> list[str]:
        """The images below a folder, at any depth."""
        return [path for path in self.images if path.startswith(f"{folder}/")]


def scan(folder: str | Path) -> Tree:
    """List everything below a folder; the result does not depend on the order of the file system.

    Raises:
        ValueError: no such folder, a folder that may not be read, a symbolic link to a folder that it lies in, a link
            to nothing or something other than a file (a pipe, a device) under the name of an image, a name that is
            not Unicode or looks like an address.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "does not exist" if not root.exists() else "is not a folder"
        raise ValueError(f"image folder {str(folder)!r} {what}; check the path")
    images: list[str] = []
    folders: list[str] = []
    metadata: list[str] = []
    ignored: list[str] = []
    ancestors: dict[str, frozenset[str]] = {}  # walked path -> the real paths from the root down to it
    for directory, subfolders, files in os.walk(root, followlinks=True, onerror=_refuse_unreadable):
        prefix = os.path.relpath(directory, root).replace(os.sep, "/") + "/" if ancestors else ""
        real, above = os.path.realpath(directory), ancestors.get(os.path.dirname(directory), frozenset())
        if real in above:
            raise ValueError(
                f"folder {prefix[:-1]!r} is a link to a folder that it lies in (a symlink loop); remove the link"
            )
        ancestors[directory] = above | {real}
        ignored += [prefix + name for name in (*subfolders, *files) if _hidden(name)]
        subfolders[:] = [name for name in subfolders if not _hidden(name)]
        folders += [_checked_name(prefix + name) for name in subfolders]
        for name in files:
            if _hidden(name):
                continue
            path = _checked_name(prefix + name)
            if name.lower().endswith(SUFFIXES):
                images.append(_checked_file(root, path))
            else:
                (metadata if name == METADATA else ignored).append(path)
    return Tree(root, *(tuple(sorted(paths)) for paths in (images, folders, metadata, ignored)))


def listed_order(where: str, paths: Sequence[str], images: Sequence[str]) -> list[int]:
    """Return the row of every image in a listing of paths.

    Raises:
        ValueError: `where` lists an image twice or one that is absent, or does not list one that is present.
    """
    rows = {path: row for row, path in enumerate(paths)}
    twice = [path for row, path in enumerate(paths) if rows[path] != row]
    if twice:
        raise ValueError(f"{where} lists {twice[0]!r} twice; keep one row per image")
    present = set(images)
    absent, unlisted = [p for p in paths if p not in present], [p for p in images if p not in rows]
    if absent:
        raise ValueError(f"{where} lists {first_few(absent)}, not among the images; remove these rows or add the files")
    if unlisted:
        raise ValueError(f"{where} does not list {first_few(unlisted)}; add rows for them or move the images away")
    return [rows[path] for path in images]


def first_few(names: list[str] | tuple[str, ...], most: int = 3) -> str:
    """Return the first few of many names, for a message."""
    shown = ", ".join(map(repr, names[:most]))
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in ARCHIVERS


def _refuse_unreadable(error: OSError) -> None:
    raise ValueError(
        f"folder {error.filename!r} cannot be read ({error.strerror or type(error).__name__}); "
        "give yourself the right to read it or move it away"
    ) from None


def _checked_name(path: str) -> str:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"file names must be Unicode, got {path!a}; rename it") from None
    if "::" in path or "://" in path:
        raise ValueError(f"file names must not hold '::' or '://', which mean addresses, got {path!r}; rename it")
    return path


def _checked_file(root: Path, path: str) -> str:
    if not stat.S_ISREG(status(root / path, "image").st_mode):
        raise ValueError(f"{path!r} has the name of an image and is neither a file nor a link to one; remove it")
    return path
