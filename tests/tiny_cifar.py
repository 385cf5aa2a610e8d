"""A few random images in the hub's parquet layout, which pass for CIFAR-10 once `TINY` stands in its place."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from longtail.data.read import cifar
from longtail.data.read.cifar import Source

datasets = pytest.importorskip("datasets")
PIL = pytest.importorskip("PIL.Image")

TINY = Source("nowhere/tiny", "label", 10, "airplane", 20)
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    PIL.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write(folder: Path, part: str, per_class: int, *, seed: int = 0, names: list[str] = NAMES, size: int = 32) -> None:
    """A parquet file in the hub's layout."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(len(names)), per_class))
    images = [png(generator.integers(0, 256, (size, size, 3), dtype=np.uint8)) for _ in labels]
    save(folder / f"{part}-00000-of-00001.parquet", images, labels, names)


def save(path: Path, images: list[bytes], labels: np.ndarray, names: list[str]) -> None:
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    rows = {"img": [{"bytes": b, "path": None} for b in images], "label": labels.tolist()}
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)


LARGEST, TESTED = TINY.largest, 3


def tiny_cifar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write one that can be learned below the folder, with a cache of its own, and let it stand for cifar10."""
    monkeypatch.setitem(cifar.SOURCES, "cifar10", TINY)
    monkeypatch.setenv("LONGTAIL_CACHE", str(folder / "cache"))
    for part, per_class, seed in (("train", LARGEST, 0), ("test", TESTED, 1)):
        generator = np.random.default_rng(seed)
        labels = generator.permutation(np.repeat(np.arange(10), per_class))
        # a class is a brightness and noise: something can be learned, nothing is certain
        pixels = [np.clip(generator.normal(25 * j, 40, (32, 32, 3)), 0, 255).astype(np.uint8) for j in labels]
        save(folder / "data" / f"{part}-00000-of-00001.parquet", [png(p) for p in pixels], labels, NAMES)
    return folder / "data"
