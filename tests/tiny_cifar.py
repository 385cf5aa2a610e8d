"""A small data set that passes for cifar10, in the hub's layout."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from longtail.data import cifar
from longtail.data.cifar import Source

LARGEST, TESTED = 20, 3
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def tiny_cifar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write it below the folder, with a cache of its own, and let it stand for cifar10."""
    monkeypatch.setitem(cifar.SOURCES, "cifar10", Source("nowhere/tiny", "label", 10, "airplane", LARGEST))
    monkeypatch.setenv("LONGTAIL_CACHE", str(folder / "cache"))
    _write(folder / "data" / "train-00000-of-00001.parquet", LARGEST, 0)
    _write(folder / "data" / "test-00000-of-00001.parquet", TESTED, 1)
    return folder / "data"


def _write(path: Path, per_class: int, seed: int) -> None:
    datasets = pytest.importorskip("datasets")
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(10), per_class))
    # a class is a brightness and noise: something can be learned, nothing is certain
    pixels = [np.clip(generator.normal(25 * j, 40, (32, 32, 3)), 0, 255).astype(np.uint8) for j in labels]
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    rows = {"img": [{"bytes": _png(p), "path": None} for p in pixels], "label": labels.tolist()}
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)


def _png(pixels: np.ndarray) -> bytes:
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
