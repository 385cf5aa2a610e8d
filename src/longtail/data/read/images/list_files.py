"""Lists of images as ImageNet-LT, Places-LT and iNaturalist 2018 have them: "relative/path.jpg 17", an image a line."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.options import LISTS
from longtail.facts.identifiers import MOST_CLASSES
from longtail.facts.messages import quoted
from longtail.facts.paths import regular

INDEX = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Listed:
    """N images of the lists, training rows first, each list in its own order.

    `paths` are relative to the folder of the images, `targets` (N,) int64 class indices, `parts` (N,) of "train",
    "val", "test"; None where only the training list is given. `places` name the line of each image, for messages.
    """

    paths: tuple[str, ...]
    targets: Tensor
    parts: np.ndarray | None
    classes: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True)
class _Line:
    place: str
    path: str
    index: int
    part: str


def read_lists(
    train_list: str | Path, val_list: str | Path | None = None, test_list: str | Path | None = None
) -> Listed:
    """Read the lists alone; no image is looked for.

    A line is a path and a class index from 0, separated by spaces or tabs; the index is the last word, empty lines do
    not count. C is the highest index of the training list + 1. A class is called as the folder of its training images
    where folders and indices correspond one to one, else as its index.

    Raises:
        ValueError: a list that cannot be read or is empty, a line of another form, an absolute path or one that leaves
            the folder, an index outside of [0, C), a class without a training row, an image listed twice.
    """
    given = [
        (name, path) for name, path in zip(LISTS, (train_list, val_list, test_list), strict=True) if path is not None
    ]
    lines = [line for name, path in given for line in _lines(name, path)]
    _refuse_twice(lines)
    training = [line for line in lines if line.part == "train"]
    size = max(line.index for line in training) + 1
    _check_classes(lines, training, size, str(train_list))
    return Listed(
        tuple(line.path for line in lines),
        torch.tensor([line.index for line in lines]),
        np.array([line.part for line in lines], dtype="U5") if len(given) > 1 else None,
        _class_names(training, size),
        tuple(line.place for line in lines),
    )


def _lines(name: str, path: str | Path) -> list[_Line]:
    """Return the rows of one list, each form and index checked."""
    flag, part = f"{name} (--{name.replace('_', '-')})", name.removesuffix("_list")
    return [_Line(place, *list_line(line, place), part) for place, line in text_lines(path, f"list of images {flag}")]


def text_lines(path: str | Path, what: str) -> list[tuple[str, str]]:
    """Return the lines of a list that are not empty, each behind the words that name its place.

    Raises:
        ValueError: the file cannot be read, is no UTF-8 text or has no line.
    """
    data = regular(path, what).read_bytes()
    flag = what.removeprefix("list of images ")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        kind = "UTF-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "no UTF-8 text"
        raise ValueError(f"{flag} {str(path)!r} is {kind}; save it as UTF-8") from None
    lines = [(f"{path}, line {number}", line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(place, line) for place, line in lines if line]
    if not lines:
        raise ValueError(f"{flag} {str(path)!r} must list an image a line, got none; check the file")
    return lines


def list_line(line: str, place: str) -> tuple[str, int]:
    """Return the path and the class index of a line.

    Raises:
        ValueError: a line of another form, an absolute path or one that leaves the folder.
    """
    words = line.rsplit(None, 1)
    if len(words) != 2 or not INDEX.fullmatch(words[1]):
        raise ValueError(
            f'{place} must be a path and a class index, as in "a/b.jpg 17", got {quoted(line)}; correct it'
        )
    index = int(words[1]) if len(words[1]) < 19 else MOST_CLASSES
    if not 0 <= index < MOST_CLASSES:
        raise ValueError(
            f"{place} must have a class index >= 0 and below {MOST_CLASSES:,}, got {words[1][:30]}; number classes "
            "from 0"
        )
    return relative_path(words[0], place), index


def relative_path(path: str, place: str) -> str:
    """Return a path of a list as it is compared; ValueError for one that is absolute or leaves the folder."""
    written = posixpath.normpath(path.replace("\\", "/"))
    if written.startswith(("/", "../")) or written in (".", "..") or re.match(r"[A-Za-z]:", written):
        raise ValueError(
            f"{place} must be a path relative to the folder of the images, inside of it, got {quoted(path)}; rewrite it"
        )
    if "\0" in path or "::" in path or "://" in path:
        raise ValueError(
            f"{place} must not hold '::' or '://', which mean addresses, got {quoted(path)}; rename the file"
        )
    return written


def _refuse_twice(lines: Sequence[_Line]) -> None:
    seen: dict[str, str] = {}
    for line in lines:
        if (first := seen.setdefault(line.path, line.place)) is not line.place:
            raise ValueError(f"{line.place} lists {line.path!r}, which {first} lists, too; keep one of them")


def _check_classes(lines: Sequence[_Line], training: Sequence[_Line], size: int, train_list: str) -> None:
    """Raise ValueError for an index outside of [0, C), and for a class that has no training row."""
    for line in lines:
        if line.index >= size:
            raise ValueError(
                f"{line.place} must have a class index in [0, {size}), those of {train_list}, got {line.index}; list "
                "training images of this class, or remove the line"
            )
    present = {line.index for line in training}
    if len(present) < size:
        missing = list(islice((str(j) for j in range(size) if j not in present), 3))
        more = size - len(present) - len(missing)
        raise ValueError(
            f"{train_list} must list a training image of every class index below {size}, got none of "
            f"{', '.join(missing)}{f' and {more} more' if more else ''}; add some, or number the classes anew, from 0"
        )


def _class_names(training: Sequence[_Line], size: int) -> tuple[str, ...]:
    """Return the C names: those of the folders right above the images where they are one to one with the indices."""
    pairs = {(posixpath.basename(posixpath.dirname(line.path)), line.index) for line in training}
    names = {index: folder for folder, index in pairs}
    one_to_one = len(pairs) == size == len(set(names.values())) and "" not in names.values()
    return tuple(names[j] if one_to_one else str(j) for j in range(size))
