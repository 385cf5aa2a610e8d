"""Cache decoded images as one uint8 tensor: written whole or not at all, checked when read, replaced when stale."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

ABANDONED = 3600.0
"""Seconds after which a temporary file has no owner any more."""

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
    """Return what `decode` does, from the cache where it has exactly these sources.

    The key is the sources' paths, sizes and times of change, so a changed source is decoded again. Several
    processes may decode at once: each writes a file of its own and the last rename wins, with the same content.
    Where the cache cannot be read or its checksum is wrong the images are decoded again; where it cannot be written
    nothing is cached.
    """
    stamps = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in sources]
    key = hashlib.sha256(json.dumps(stamps).encode()).hexdigest()[:16]
    path = folder() / f"{name}-{key}.safetensors"
    cached = _read(path)
    if cached is not None:
        return cached
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
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
        # by name, not as bytes: those would be two more copies of all images in memory
        save_file({"images": images, "targets": targets}, temporary, metadata=metadata)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:  # a full disk is the latter
        log.warning("cache %s cannot be written (%s); the images will be decoded again next time", path, error)
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half-written; what is younger may belong to one that still writes."""
    for path in folder.glob("*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()
        except FileNotFoundError:  # its owner was done
            continue


def _checksum(images: Tensor, targets: Tensor) -> str:
    digest = hashlib.sha256(images.contiguous().numpy().data)
    digest.update(targets.numpy().tobytes())
    return digest.hexdigest()


def images_hash(images: Tensor, targets: Tensor) -> str:
    """Return the SHA-256 of the sorted pixel bytes of images with their labels: it does not depend on their order."""
    rows = images.contiguous().numpy().reshape(len(images), -1)
    labelled = sorted(y.to_bytes(4, "little") + row.tobytes() for y, row in zip(targets.tolist(), rows, strict=True))
    return hashlib.sha256(b"".join(labelled)).hexdigest()
