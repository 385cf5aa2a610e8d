"""Clothing1M in both layouts of its lists: parts, labels, classes and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtail.data import load
from longtail.data.read.dispatch import kind_of, pool
from longtail.data.read.images.clothing1m import clothing1m_pool, is_clothing1m

PIL = pytest.importorskip("PIL.Image")

CLASSES = ("T-Shirt", "Shirt", "Down Coat")
PARTS = {
    "noisy_train": (
        ("images/0/00/a.jpg", 0), ("images/0/01/b.jpg", 1), ("images/1/00/c.jpg", 2), ("images/1/00/d.jpg", 0),
    ),
    "clean_train": (("images/2/00/e.jpg", 1), ("images/2/00/f.jpg", 2), ("images/2/00/g.jpg", 0)),
    "clean_val": (("images/3/00/h.jpg", 2), ("images/3/00/i.jpg", 0), ("images/3/00/j.jpg", 1)),
    "clean_test": (("images/4/00/k.jpg", 1), ("images/4/00/l.jpg", 0), ("images/4/00/m.jpg", 2)),
}  # fmt: skip


def write(folder: Path, *, pairs: bool, lists: str = "") -> Path:
    """A few images with the lists of the release, or with one list of pairs for each part."""
    place = folder / lists
    place.mkdir(parents=True, exist_ok=True)
    (place / "category_names_eng.txt").write_text("\n".join(CLASSES) + "\n")
    generator = np.random.default_rng(0)
    labels: dict[str, list[str]] = {"noisy": [], "clean": []}
    for part, rows in PARTS.items():
        for path, label in rows:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            PIL.fromarray(pixels).save(folder / path)
            labels[part.split("_")[0]].append(f"{path} {label}")
        if pairs:
            (place / f"{part}_kv.txt").write_text("".join(f"{path} {label}\n" for path, label in rows))
        else:
            (place / f"{part}_key_list.txt").write_text("".join(f"{path}\n" for path, _ in rows))
    if not pairs:
        for kind, lines in labels.items():
            # the release has labels of images that no list of this part names, in another order
            (place / f"{kind}_label_kv.txt").write_text("\n".join([*reversed(lines), "images/9/99/z.jpg 1"]) + "\n")
    return folder


@pytest.fixture(params=[(True, ""), (False, ""), (False, "annotations")], ids=["pairs", "keys", "annotations"])
def folder(request: Any, tmp_path: Path) -> Path:
    return write(tmp_path / "clothing", pairs=request.param[0], lists=request.param[1])


def rows(folder: Path, **options: Any) -> list[tuple[str, int, str]]:
    found = pool(folder, size=16, **options)
    assert found.ids is not None
    assert found.parts is not None
    return list(zip(found.ids, found.targets.tolist(), found.parts.tolist(), strict=True))


def expected(*trained: str) -> list[tuple[str, int, str]]:
    places = [*((part, "train") for part in trained), ("clean_val", "val"), ("clean_test", "test")]
    return [(path, label, part) for name, part in places for path, label in PARTS[name]]


def test_noisy_images_are_trained_on_and_clean_ones_are_for_testing(folder: Path) -> None:
    assert kind_of(folder) == "Clothing1M"
    assert rows(folder) == rows(folder, label="noisy") == expected("noisy_train")
    splits = load(folder, size=16)
    assert splits.classes == CLASSES
    assert splits.val is not None
    assert (len(splits.train), len(splits.val), len(splits.test)) == (4, 3, 3)
    assert splits.train.targets.tolist() == [0, 1, 2, 0]
    assert splits.test.targets.tolist() == [1, 0, 2]
    assert splits.truth is None, "which labels are wrong is not known"
    assert splits.facts["source"] == "clothing1m"
    assert splits.facts["labels"] == "noisy"


def test_clean_training_images_alone_or_behind_the_noisy_ones(folder: Path) -> None:
    assert rows(folder, label="clean") == expected("clean_train")
    assert rows(folder, label="noisy+clean") == expected("noisy_train", "clean_train")
    assert load(folder, size=16).hash != load(folder, size=16, label="noisy+clean").hash


def test_lists_of_ones_own_go_before(folder: Path) -> None:
    (folder / "mine.txt").write_text("images/0/00/a.jpg 0\nimages/0/01/b.jpg 1\n")
    found = pool(folder, train_list=folder / "mine.txt", size=16)
    assert found.targets.tolist() == [0, 1]


def test_any_other_folder_is_none(tmp_path: Path) -> None:
    assert not is_clothing1m(tmp_path)
    with pytest.raises(ValueError, match=r"must hold noisy_train_key_list.txt or noisy_train_kv.txt, got neither"):
        clothing1m_pool(tmp_path)


def changed(folder: Path, file: str, before: str, after: str) -> Path:
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after))
    return folder


@pytest.mark.parametrize(("file", "before", "after", "message"), [
    ("noisy_train_key_list.txt", "images/0/00/a.jpg", "images/0/00/y.jpg", "has no label in noisy_label_kv.txt"),
    ("noisy_label_kv.txt", "a.jpg 0", "a.jpg 3", "one of the 3 classes of category_names_eng.txt, got 3"),
    ("noisy_label_kv.txt", "a.jpg 0", "a.jpg -1", "must have a class index >= 0"),
    ("noisy_label_kv.txt", "a.jpg 0", "a.jpg", "must be a path and a class index"),
    ("noisy_train_key_list.txt", "images/0/00/a.jpg", "../a.jpg", "must be a path relative to the folder"),
    ("noisy_train_key_list.txt", "images/1/00/d.jpg", "images/0/00/a.jpg", "line 4 lists 'images/0/00/a.jpg', which"),
    ("noisy_label_kv.txt", "b.jpg 1", "b.jpg 0", "every class must have a training image, got none of 'Shirt'"),
    ("category_names_eng.txt", "T-Shirt\nShirt\nDown Coat\n", "\n", "must list an image a line, got none"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_line(
    file: str, before: str, after: str, message: str, tmp_path: Path
) -> None:
    folder = changed(write(tmp_path / "c", pairs=False), file, before, after)
    with pytest.raises(ValueError) as refused:
        pool(folder, size=16)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_image_list_or_an_unknown_set_of_labels_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", pairs=True)
    with pytest.raises(
        ValueError, match=r"label \(--label\) of Clothing1M must be one of noisy, clean, noisy\+clean, got"
    ):
        pool(folder, label="worse")
    with pytest.raises(ValueError, match=r"group .* is not read for Clothing1M"):
        pool(folder, group="shop")
    (folder / "images/0/00/a.jpg").unlink()
    with pytest.raises(ValueError, match=r"noisy_train_kv.txt, line 1: image .* does not exist"):
        pool(folder, size=16)
    (folder / "clean_test_kv.txt").unlink()
    with pytest.raises(ValueError, match=r"clean_label_kv.txt' does not exist"):
        pool(folder, size=16)
