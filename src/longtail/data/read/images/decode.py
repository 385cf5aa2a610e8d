"""Many images decoded once, by threads: into one tensor, or only to see that each can be."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from longtail.data.read import cache
from longtail.data.read.images.pixels import RULES, BadImage, pixels, quiet

CHUNK = 512
"""Images under way at once; what waits beside the result is at most this many times one decoded image."""

THREADS = 16

log = logging.getLogger(__name__)


class Pictures(Protocol):
    """N encoded images with a name each."""

    @property
    def names(self) -> Sequence[str]:
        """(N,) for messages."""
        ...

    def encoded(self, row: int) -> Any:
        """A path, the bytes of a file or an image that is open."""
        ...


@dataclass(frozen=True)
class Files:
    """The images at relative paths below a folder."""

    root: str
    names: Sequence[str]

    def encoded(self, row: int) -> str:
        """The path to open."""
        return os.path.join(self.root, self.names[row])


@dataclass(frozen=True)
class Bytes:
    """Images that are open already, or whose bytes or paths are at hand."""

    sources: Sequence[Any]
    names: Sequence[str]

    def encoded(self, row: int) -> Any:
        """What was given."""
        return self.sources[row]


@dataclass(frozen=True)
class Decoded:
    """images (K, 3, S, S) uint8, or none where they were only looked at; the K `rows` that are sound; what is not."""

    images: Tensor
    rows: Tensor
    bad: list[tuple[str, str]]
    """(name, what is wrong with it)"""

    def checked(self, skip_bad: bool, option: str = "skip_bad=True") -> Decoded:
        """Itself, where what is bad may be left out (in Python by `option`) and something is not."""
        count = len(self.rows) + len(self.bad)
        if not len(self.rows):
            raise ValueError(f"none of {count} images can be decoded: {_shown(self.bad)}; check what they are")
        if self.bad and not skip_bad:
            raise ValueError(
                f"{len(self.bad)} of {count} images cannot be decoded: {_shown(self.bad)}; "
                f"mend or remove them, or leave them out with --skip-bad ({option})"
            )
        return self

    def notes(self) -> tuple[str, ...]:
        """Says what was left out, where anything was."""
        if not self.bad:
            return ()
        count = len(self.rows) + len(self.bad)
        return (f"{len(self.bad)} of {count} images could not be decoded and were left out: {_shown(self.bad)}",)


def decode(pictures: Pictures, size: int, *, keep: bool = True, skip_bad: bool = False) -> Decoded:
    """Every image by the rules of `pixels`; the result does not depend on the number of threads.

    Memory: N 3 S S bytes where `keep`, and CHUNK images beside it; with their sources decoded, one per thread.

    Raises:
        ValueError: images that cannot be decoded, counted and named, unless `skip_bad`; none that can; a file that
            cannot be read at all (no such file, no right to), whatever `skip_bad` says.
    """
    count = len(pictures.names)
    images = torch.empty((count if keep else 0, 3, size, size), dtype=torch.uint8)
    good: list[int] = []
    bad: list[tuple[str, str]] = []

    def one(row: int) -> np.ndarray | str:
        try:
            return pixels(pictures.encoded(row), size)
        except BadImage as error:
            return str(error)
        except OSError as error:
            raise ValueError(
                f"image {pictures.names[row]!r} cannot be read ({error.strerror or type(error).__name__}); it may "
                "be sound, so --skip-bad does not leave it out: give yourself the right to read it or move it away"
            ) from None

    with quiet(), ThreadPoolExecutor(_threads()) as pool:
        for first in range(0, count, CHUNK):
            rows = range(first, min(first + CHUNK, count))
            for row, found in zip(rows, pool.map(one, rows), strict=True):
                if isinstance(found, str):
                    bad.append((pictures.names[row], found))
                    continue
                if keep:
                    images[len(good)] = torch.from_numpy(found).permute(2, 0, 1)
                good.append(row)
            log.debug("%d of %d images decoded", len(good), count)
    return Decoded(images[: len(good)] if keep else images, torch.tensor(good), bad).checked(skip_bad)


def decode_once(
    pictures: Pictures, size: int, sources: Sequence[Path], *, keep: bool = True, skip_bad: bool = False
) -> Decoded:
    """`decode`, from the cache where it holds exactly these sources at this size, under these rules.

    Without sources nothing is cached. The cache keeps pixels and the list of what was left out, no labels.
    """
    if not sources:
        return decode(pictures, size, keep=keep, skip_bad=skip_bad)
    found: list[Decoded] = []

    def anew() -> cache.Decoded:
        made = decode(pictures, size, keep=keep, skip_bad=skip_bad)
        found.append(made)
        return made.images, made.rows, [text for pair in made.bad for text in pair]

    what = "images" if keep else "checked"
    images, rows, bad = cache.decoded(f"{what}-{size}-rules{RULES}", sources, anew)
    if found:
        return found[0]
    return Decoded(images, rows, list(zip(bad[::2], bad[1::2], strict=True))).checked(skip_bad)


@dataclass(frozen=True)
class Decoding:
    """A map-style data set: row -> (3, S, S) uint8, decoded when it is asked for, and its class index."""

    pictures: Pictures
    targets: Tensor
    size: int

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        try:
            with quiet():
                found = pixels(self.pictures.encoded(row), self.size)
        except BadImage as error:
            raise ValueError(f"{self.pictures.names[row]}: {error}") from None
        return torch.from_numpy(found).permute(2, 0, 1).contiguous(), int(self.targets[row])


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, THREADS)


def _shown(bad: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{name!r} ({reason})" for name, reason in bad[:3])
    return shown + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
