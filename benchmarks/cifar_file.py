"""Long-tailed CIFAR in one file of less than 64 MiB: the chosen training images and all test images, lossless.

An .npz of WebP bytes, one image after another, with their lengths and what is known of their labels: a class, a set of
candidates, or nothing. It needs numpy and Pillow alone, so that a machine without the parquet files and their reader
trains on the very rows that `longtail compare cifar10` takes.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from longtail.data import Examples, Splits
from longtail.data.prepare.images import ImagePreparation
from longtail.data.read.cifar import SIZE
from longtail.data.splits import Part
from longtail.data.views import CropFlip

PARTS = ("train", "test", "unlabeled")


def write(splits: Splits, path: Path) -> None:
    """Write all parts, in their order."""
    arrays: dict[str, Any] = {"classes": np.array(splits.classes), "name": splits.name, "notes": np.array(splits.notes)}
    if splits.truth is not None:
        arrays["truth"] = splits.truth.numpy()
    for name, value in splits.facts.items():
        arrays[f"fact {name}"] = value
    for part in PARTS:
        rows: Part | None = getattr(splits, part)
        if rows is None:
            continue
        images = [encoded(image) for chunk in rows.chunks(1024) for image in chunk]
        arrays[f"{part} images"] = np.frombuffer(b"".join(images), dtype=np.uint8)
        arrays[f"{part} lengths"] = np.array([len(image) for image in images])
        arrays[f"{part} targets"] = rows.targets.numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def read(path: Path) -> Splits:
    """Return the same data: rows, order, labels, facts and hash.

    Raises:
        OSError: no such file, or an image that Pillow cannot read.
    """
    with np.load(path) as file:
        arrays = dict(file)
    classes = tuple(map(str, arrays["classes"]))
    parts = {}
    for part in (part for part in PARTS if f"{part} images" in arrays):
        data, ends = arrays[f"{part} images"].tobytes(), np.cumsum(arrays[f"{part} lengths"])
        images = np.stack([decoded(data[first:last]) for first, last in pairwise([0, *ends.tolist()])])
        inputs = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        parts[part] = (inputs, torch.from_numpy(arrays[f"{part} targets"]), classes)
    facts = {name.removeprefix("fact "): value.item() for name, value in arrays.items() if name.startswith("fact ")}
    without = Examples(*parts["unlabeled"], augment=CropFlip()) if "unlabeled" in parts else None
    return Splits(
        str(arrays["name"]), Examples(*parts["train"], augment=CropFlip()), Examples(*parts["test"]), facts=facts,
        notes=tuple(map(str, arrays["notes"])) if "notes" in arrays else (), preparation=ImagePreparation(SIZE),
        unlabeled=without, truth=torch.from_numpy(arrays["truth"]) if "truth" in arrays else None,
    )  # fmt: skip


def encoded(image: torch.Tensor) -> bytes:
    """Return an image (3, H, W) uint8 as lossless WebP."""
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "WEBP", lossless=True, quality=100, method=4)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray[Any, Any]:
    """Return the image (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
