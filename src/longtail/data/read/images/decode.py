"""Decode many images by threads: into one tensor, or only to check that each can be decoded."""

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
"""Images decoded at a time; memory beside the result is at most this many times one decoded image."""

THREADS = 16

log = logging.getLogger(__name__)


class Sources(Protocol):
    """row -> a path, the bytes of a file, or an image that Pillow has opened; a list, or what reads them on demand."""

    def __getitem__(self, row: int, /) -> Any: ...


@dataclass(frozen=True)
class EncodedImages:
    """N images with a name each, for messages."""

    sources: Sources
    names: Sequence[str]


@dataclass(frozen=True)
class Decoded:
    """images (K, 3, S, S) uint8, or none where they were only checked; the K `rows` that decode; the others."""

    images: Tensor
    rows: Tensor
    bad: list[tuple[str, str]]
    """(name, reason)"""

    def checked(self, skip_bad: bool, option: str = "skip_bad=True") -> Decoded:
        """Return itself.

        Raises:
            ValueError: no image decodes, or one does not and may not be left out (`option` allows it in Python).
        """
        count = len(self.rows) + len(self.bad)
        if not len(self.rows):
            raise ValueError(f"none of {count} images can be decoded: {_shown(self.bad)}; check what they are")
        if self.bad and not skip_bad:
            raise ValueError(
                f"{len(self.bad)} of {count} images cannot be decoded: {_shown(self.bad)}; "
                f"repair or remove them, or leave them out with --skip-bad ({option})"
            )
        return self

    def notes(self) -> tuple[str, ...]:
        """Return a note on what was left out, where anything was."""
        if not self.bad:
            return ()
        count = len(self.rows) + len(self.bad)
        return (f"{len(self.bad)} of {count} images could not be decoded and were left out: {_shown(self.bad)}",)


def decode(images: EncodedImages, size: int, *, keep: bool = True, skip_bad: bool = False) -> Decoded:
    """Decode every image by the rules of `pixels`; the result does not depend on the number of threads.

    Memory: N 3 S S bytes where `keep`, and CHUNK images beside it; with their sources decoded, one per thread.

    Raises:
        ValueError: images that cannot be decoded, counted and named, unless `skip_bad`; none that can; a file that
            cannot be read at all (no such file, no right to), whatever `skip_bad` says.
    """
    count = len(images.names)
    tensor = torch.empty((count if keep else 0, 3, size, size), dtype=torch.uint8)
    good: list[int] = []
    bad: list[tuple[str, str]] = []

    def decode_row(row: int) -> np.ndarray | str:
        try:
            return pixels(images.sources[row], size)
        except BadImage as error:
            return str(error)
        except OSError as error:
            raise unreadable(images.names[row], error) from None

    with quiet(), ThreadPoolExecutor(threads()) as executor:
        for first in range(0, count, CHUNK):
            rows = range(first, min(first + CHUNK, count))
            for row, result in zip(rows, executor.map(decode_row, rows), strict=True):
                if isinstance(result, str):
                    bad.append((images.names[row], result))
                    continue
                if keep:
                    tensor[len(good)] = torch.from_numpy(result).permute(2, 0, 1)
                good.append(row)
            log.debug("%d of %d images decoded", len(good), count)
    return Decoded(tensor[: len(good)] if keep else tensor, torch.tensor(good), bad).checked(skip_bad)


def decode_once(
    images: EncodedImages, size: int, sources: Sequence[Path], *, keep: bool = True, skip_bad: bool = False
) -> Decoded:
    """Return what `decode` does, from the cache where it holds these source files at this size, under these rules.

    Without sources nothing is cached. The cache keeps pixels and the list of what was left out, no labels.
    """
    if not sources:
        return decode(images, size, keep=keep, skip_bad=skip_bad)

    def decode_again() -> cache.Decoded:
        decoded = decode(images, size, keep=keep, skip_bad=skip_bad)
        return decoded.images, decoded.rows, [text for pair in decoded.bad for text in pair]

    what = "images" if keep else "checked"
    tensor, rows, bad = cache.decoded(f"{what}-{size}-rules{RULES}", sources, decode_again)
    return Decoded(tensor, rows, list(zip(bad[::2], bad[1::2], strict=True))).checked(skip_bad)


@dataclass(frozen=True)
class ImageDataset:
    """A map-style data set: row -> (3, S, S) uint8, decoded when it is read, and its class index."""

    images: EncodedImages
    targets: Tensor
    size: int

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        try:
            with quiet():
                array = pixels(self.images.sources[row], self.size)
        except BadImage as error:
            raise ValueError(f"{self.images.names[row]}: {error}") from None
        return torch.from_numpy(array).permute(2, 0, 1).contiguous(), int(self.targets[row])


def unreadable(name: str, error: OSError) -> ValueError:
    """Return the error of an image that cannot be read at all."""
    return ValueError(
        f"image {name!r} cannot be read ({error.strerror or type(error).__name__}); it may be sound, so --skip-bad "
        "does not leave it out: give yourself the right to read it or move it away"
    )


def threads() -> int:
    """Return how many threads decode: one per core, up to THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, THREADS)


def _shown(bad: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{name!r} ({reason})" for name, reason in bad[:3])
    return shown + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
