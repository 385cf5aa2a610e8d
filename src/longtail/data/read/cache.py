"""The cache of decoded images: one uint8 tensor per data set, verified when read, written again when outdated."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from longtail.facts import files

log = logging.getLogger(__name__)

Decoded = tuple[Tensor, Tensor, list[str]]
"""images (N, K, H, W) uint8, targets (N,) int64, class names."""


def folder() -> Path:
    """Return LONGTAIL_CACHE, or longtail/ in the user's cache folder."""
    given = os.environ.get("LONGTAIL_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longtail"


def decoded(name: str, sources: Sequence[Path], decode: Callable[[], Decoded]) -> Decoded:
    """Return what `decode` returns, from the cache where it has exactly these sources.

    The key is the sources' paths, sizes and modification times, so that a changed source is decoded again. Several
    processes may do so at once: each writes a temporary file of its own, and the last one renamed stays. A cache file
    that cannot be read or has a wrong checksum is decoded again; one that cannot be written is logged as a warning.
    """
    stamps = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in sources]
    key = files.json_checksum(stamps)[:16]
    path = folder() / f"{name}-{key}.safetensors"
    if (stored := _read(path)) is not None:
        return stored
    images, targets, classes = decode()
    _write(path, images, targets, classes)
    return images, targets, classes


def _read(path: Path) -> Decoded | None:
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            images, targets = file.get_tensor("images"), file.get_tensor("targets")
        if metadata["sha256"] != _checksum(images, targets):
            raise ValueError("its checksum is off")
        return images, targets, list(json.loads(metadata["classes"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        log.warning("cache %s cannot be used (%s); decoding the images again", path, error)
        return None


def _write(path: Path, images: Tensor, targets: Tensor, classes: list[str]) -> None:
    metadata = {"classes": json.dumps(classes), "sha256": _checksum(images, targets)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.remove_unfinished(path.parent, shared=True)
        with files.replacing(path) as temporary:
            # by name, not as bytes: those would be two more copies of all images in memory
            save_file({"images": images, "targets": targets}, temporary, metadata=metadata)
    except (OSError, SafetensorError) as error:  # a full disk is the latter
        log.warning("cache %s cannot be written (%s); the images will be decoded again next time", path, error)


def _checksum(images: Tensor, targets: Tensor) -> str:
    return files.checksum(images.contiguous().numpy().data, targets.contiguous().numpy().data)


def images_hash(images: Tensor, targets: Tensor) -> str:
    """Return the SHA-256 over the sorted pixel bytes of images with their labels, whatever their order."""
    rows = images.contiguous().numpy().reshape(len(images), -1)
    labelled = sorted(y.to_bytes(4, "little") + row.tobytes() for y, row in zip(targets.tolist(), rows, strict=True))
    return files.checksum(*labelled)
