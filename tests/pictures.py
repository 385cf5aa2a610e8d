"""Folders of small images for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

PIL = pytest.importorskip("PIL.Image")
pytest.importorskip("datasets")


def image(seed: int, size: tuple[int, int] = (16, 16)) -> Any:
    return PIL.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def put(path: Path, seed: int = 0, size: tuple[int, int] = (16, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image(seed, size).save(path)
    return path


def folder(root: Path, counts: dict[str, int], size: tuple[int, int] = (16, 16)) -> Path:
    """`counts` images of random pixels in each folder; no two alike."""
    seed = 0
    for name, count in counts.items():
        for i in range(count):
            put(root / name / f"{i}.png", seed, size)
            seed += 1
    return root
