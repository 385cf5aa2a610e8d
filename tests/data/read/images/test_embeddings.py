"""Embeddings computed elsewhere in place of pixels: each row goes to its image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtail.data.prepare.images import FeaturePreparation
from longtail.data.read.images.image_folder import image_pool
from pictures import folder

X = np.random.default_rng(0).normal(size=(5, 7))
FILES = ["dog/1.png", "cat/0.png", "cat/2.png", "dog/0.png", "cat/1.png"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = folder(tmp_path / "photos", {"cat": 3, "dog": 2})
    (root / "cat" / "0.png").write_bytes(b"nothing is decoded")
    return root


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_rows_go_by_their_file_names(photos: Path, tmp_path: Path) -> None:
    pool = image_pool(photos, features=saved(tmp_path / "e.npz", X=X, files=FILES))
    assert pool.ids == tuple(sorted(FILES))
    for path, row in zip(pool.ids, pool.rows.inputs, strict=True):
        assert np.array_equal(row.numpy(), X[FILES.index(path)].astype(np.float32))
    assert pool.rows.targets.tolist() == [0, 0, 0, 1, 1]
    assert pool.rows.augment is None
    assert pool.preparation == FeaturePreparation((7,), "float32")
    assert any("e.npz" in note for note in pool.notes)


def test_without_names_rows_stand_in_the_sorted_order(photos: Path, tmp_path: Path) -> None:
    pool = image_pool(photos, features=saved(tmp_path / "e.npz", X=X))
    assert np.array_equal(pool.rows.inputs.numpy(), X.astype(np.float32))
    np.save(tmp_path / "e.npy", X)
    assert image_pool(photos, features=tmp_path / "e.npy").rows.inputs.equal(pool.rows.inputs)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": X, "files": [*FILES[:4], "cat/9.png"]}, ["'cat/9.png'", "not among"]),
        ({"X": X[:4], "files": FILES[:4]}, ["does not list 'cat/1.png'"]),
        ({"X": X, "files": [*FILES[:4], FILES[0]]}, ["'dog/1.png' twice"]),
        ({"X": X, "files": FILES[:4]}, ["4 files for 5 rows"]),
        ({"X": X[:4]}, ["4 rows for 5 images", "files"]),
        ({"X": np.where(X[1] == X, np.nan, X), "files": FILES}, ["finite", "'cat/0.png'"]),
        ({"X": X[..., None]}, ["(N, D)", "(5, 7, 1)"]),
        ({"X": X.astype(str)}, ["numbers"]),
        ({"y": X}, ["array X"]),
        ({"X": X.astype(object)}, ["pickled objects", "refused"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(photos: Path, tmp_path: Path, arrays: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        image_pool(photos, features=saved(tmp_path / "e.npz", **arrays))
    assert "\n" not in str(caught.value)
    for word in ("e.npz", *words):
        assert word in str(caught.value), str(caught.value)


def test_no_such_file_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        image_pool(photos, features=tmp_path / "gone.npz")
