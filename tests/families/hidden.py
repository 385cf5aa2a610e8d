"""Data on disk whose labels are missing, sets, or not used, as a person would have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

CLASSES = np.array(["cat", "lynx", "mole"])
SIZES = (60, 30, 15)


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Features (105, 4) and class indices of three separate classes."""
    y = np.repeat(np.arange(len(SIZES)), SIZES)
    return np.random.default_rng(0).normal(size=(len(y), 4)) + 2 * y[:, None], y


def frame() -> pd.DataFrame:
    """The rows as columns, one of them text, with their species."""
    X, y = rows()
    kind = np.where(np.random.default_rng(1).random(len(y)) < 0.5, "wild", "tame")
    return pd.DataFrame({"length": X[:, 0], "weight": X[:, 1], "kind": kind, "species": CLASSES[y]})


def blank_table(path: Path) -> Path:
    """Every second row has an empty label cell."""
    table = frame()
    table.loc[table.index % 2 == 1, "species"] = None
    table.to_csv(path, index=False)
    return path


def votes_table(path: Path) -> Path:
    """Every third row names one class, the others two, as in cat|mole."""
    table, draw = frame(), np.random.default_rng(2)
    y = rows()[1]
    other = (y + draw.integers(1, 3, len(y))) % 3
    table["species"] = [
        CLASSES[a] if i % 3 == 0 else "|".join(CLASSES[[a, b]]) for i, (a, b) in enumerate(zip(y, other, strict=True))
    ]
    table.to_csv(path, index=False)
    return path


def photos(folder: Path) -> Path:
    """`photos/<class>/` with twelve pictures each, and `more/` with ten that nobody has labelled."""
    draw = np.random.default_rng(3)
    for j, name in enumerate(CLASSES):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(12):
            _picture(folder / "photos" / name / f"{i}.png", 80 * j, draw)
    (folder / "more").mkdir()
    for i in range(10):
        _picture(folder / "more" / f"{i}.png", 80 * (i % 3), draw)
    return folder / "photos"


def _picture(path: Path, grey: int, draw: np.random.Generator) -> None:
    Image.fromarray((grey + draw.integers(0, 60, (8, 8, 3))).astype(np.uint8)).save(path)


def minus_ones(path: Path) -> Path:
    """An .npz whose y is -1 where nobody knows."""
    X, y = rows()
    np.savez(path, X=X, y=np.where(np.arange(len(y)) % 2 == 1, -1, y))
    return path


def candidate_arrays(path: Path) -> Path:
    """An .npz with `candidates` (N, C) in place of y; every third row has one, the others two."""
    X, y = rows()
    sets = np.eye(3, dtype=bool)[y]
    several = np.flatnonzero(np.arange(len(y)) % 3 > 0)
    sets[several, (y[several] + np.random.default_rng(4).integers(1, 3, len(several))) % 3] = True
    np.savez(path, X=X, candidates=sets)
    return path
