"""Images that lists name, as a pool, in `load` and on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from longtail.cli import run
from longtail.data import load
from longtail.data.mapped import MappedExamples
from longtail.data.read.dispatch import pool
from longtail.data.read.images.image_folder import image_pool
from pictures import folder, put


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images in folders, and lists of some of them: classes dog and cat in this order."""
    root = folder(tmp_path / "photos", {"train/cat": 4, "train/dog": 6, "val": 4, "other": 1})
    lists = {
        "train": [*(f"train/dog/{i}.png 0" for i in range(5)), *(f"train/cat/{i}.png 1" for i in range(3))],
        "val": ["val/0.png 0", "val/1.png 1"],
        "test": ["val/2.png 1", "val/3.png 0"],
    }
    for name, lines in lists.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def lists(photos: Path, *names: str) -> dict[str, Path]:
    return {f"{name}_list": photos.parent / f"{name}.txt" for name in names or ("train", "val", "test")}


def test_rows_are_those_of_the_lists_and_pixels_those_of_the_folder(photos: Path) -> None:
    rows = pool(photos, size=16, **lists(photos))
    assert rows.classes == ("dog", "cat")
    assert rows.targets.tolist() == [0] * 5 + [1] * 3 + [0, 1] + [1, 0]
    assert rows.parts is not None
    assert rows.parts.tolist() == ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    assert rows.ids is not None
    whole = image_pool(photos / "train", size=16)
    for j in range(8):
        assert torch.equal(rows.rows.inputs[j], whole.rows.inputs[whole.ids.index(rows.ids[j].removeprefix("train/"))])
    assert rows.name == "photos"


def test_the_lists_are_the_split(photos: Path) -> None:
    splits = load(photos, size=16, **lists(photos))
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [8, 2, 2]
    assert splits.facts["lists"] == ["train", "val", "test"]
    alone = load(photos, size=16, **lists(photos, "train"))
    assert (len(alone.train), len(alone.test), alone.val) == (6, 2, None)
    assert splits.train.inputs.dtype == torch.uint8


def test_the_identity_follows_the_rows_and_labels_and_not_the_place(photos: Path, tmp_path: Path) -> None:
    first = load(photos, size=16, **lists(photos)).hash
    shutil.copytree(photos, tmp_path / "moved")
    assert load(tmp_path / "moved", size=16, name="photos", **lists(photos)).hash == first
    (tmp_path / "val.txt").write_text("val/0.png 1\nval/1.png 1\n")
    assert load(photos, size=16, **lists(photos)).hash != first


def test_images_that_do_not_fit_are_read_row_by_row(photos: Path) -> None:
    there = image_pool(photos, size=16, **lists(photos))
    mapped = image_pool(photos, size=16, share=0.0, **lists(photos))
    assert isinstance(mapped.rows, MappedExamples)
    (read,) = mapped.rows.read([torch.arange(12)])
    assert torch.equal(read, there.rows.inputs)


def test_an_image_that_does_not_decode_is_named_or_left_out(photos: Path) -> None:
    (photos / "train/dog/0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1 of 12 images cannot be decoded: 'train/dog/0.png'"):
        pool(photos, size=16, **lists(photos))
    rows = pool(photos, size=16, skip_bad=True, **lists(photos))
    assert len(rows) == 11
    assert rows.parts is not None
    assert (rows.parts == "train").sum() == 7


@pytest.mark.parametrize(
    ("options", "names", "message"),
    [
        (
            {},
            ["val"],
            r"val_list \(--val-list\) needs the list of the training images; add train_list \(--train-list\)",
        ),
        ({"label": "kind"}, [], r"label \(--label\) cannot go with lists of images"),
        ({"unlabeled": "same"}, [], r"unlabeled \(--unlabeled\) cannot go with lists of images"),
        ({"features": "x.npz"}, [], r"features \(--features\) cannot go with lists of images"),
    ],
)
def test_what_cannot_go_together_is_refused(photos: Path, options: dict, names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pool(photos, **options, **lists(photos, *names))


def test_lists_without_their_folder_are_refused(photos: Path) -> None:
    given = lists(photos, "train")
    with pytest.raises(ValueError, match=r"train_list \(--train-list\) is not read for digits"):
        load("digits", **given)
    table = photos.parent / "t.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"train_list \(--train-list\) is not read for table .* it is for: images"):
        load(table, label="b", **given)
    with pytest.raises(
        ValueError, match=r"train.txt, line 1: image .*train/dog/0.png' does not exist; check the path; paths are"
    ):
        load(photos / "train", **given)
    put(photos.parent / "one.png").rename(photos.parent / "one")
    (photos / "train/dog/3.png").unlink()
    (photos / "train/dog/3.png").mkdir()
    with pytest.raises(ValueError, match=r"train.txt, line 4: image 'train/dog/3.png' is no file"):
        load(photos, **given)


def test_the_command_line_takes_them(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for name, path in lists(photos).items() for word in (f"--{name.replace('_', '-')}", str(path))]
    assert run(["inspect", str(photos), *words, "--size", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["classes"], found["class_counts"]) == (["dog", "cat"], [5, 3])
    assert run(["compare", str(photos), *words, "--size", "16", "--methods", "ce", "--dry-run", "--seeds", "1"]) == 0
    capsys.readouterr()
    assert run(["train", str(photos), *words, "--out", str(photos.parent / "train.txt")]) == 2
    assert "is the data, which are never overwritten" in capsys.readouterr().err
