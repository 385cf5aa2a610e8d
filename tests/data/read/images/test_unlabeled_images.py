"""Folders of images without labels, and image folders whose labels name several classes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import Examples, MappedExamples, load, pool
from longtail.data.read.images import labelled_images

PIL = pytest.importorskip("PIL.Image")
READING: dict[str, Any] = {"size": 8, "mirror": False}


def write(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five cats of value 0 to 4, three dogs of 10 to 12; beside the folder, two images more of 100 and 101."""
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))
    for name, first, count in (("photos/cat", 0, 5), ("photos/dog", 10, 3), ("more/deep", 100, 2)):
        for k in range(count):
            write(tmp_path / name / f"{k}.png", first + k)
    return tmp_path / "photos"


def values(part: Any) -> list[int]:
    return sorted(int(inputs.flatten()[0]) for inputs in torch.cat([*part.chunks(4)]))


def test_a_folder_that_is_none_is_named_with_its_argument(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"^unlabeled \(--unlabeled\): image folder '.*gone' does not exist; check"):
        load(photos, unlabeled=photos.parent / "gone", **READING)


class TestFolderUnlabeled:
    def test_beside_the_class_folders(self, photos: Path) -> None:
        shutil.copytree(photos.parent / "more", photos / "unlabeled")
        with pytest.raises(ValueError, match=r"folder 'unlabeled' would be a class of its own; .*\(--unlabeled same\)"):
            pool(photos, **READING)
        splits = load(photos, unlabeled="same", **READING)
        assert splits.classes == ("cat", "dog")
        assert values(splits.unlabeled) == [100, 101]
        found = pool(photos, unlabeled="same", **READING)
        assert found.unlabeled is not None
        assert found.unlabeled.ids == ("unlabeled/deep/0.png", "unlabeled/deep/1.png")
        assert found.origin is not None
        names = [place.file for place in found.origin.places(found.unlabeled.source(torch.arange(2)).tolist())]
        assert names == list(found.unlabeled.ids)

    @pytest.mark.parametrize("place", ["unlabeled", "train/unlabeled"])
    def test_beside_or_in_the_training_part(self, photos: Path, place: str) -> None:
        declared = photos.parent / "declared"
        for part in ("train", "test"):
            shutil.copytree(photos, declared / part)
        shutil.copytree(photos.parent / "more", declared / place)
        splits = load(declared, unlabeled="same", **READING)
        assert (len(splits.train), len(splits.test)) == (8, 8)
        assert values(splits.unlabeled) == [100, 101]

    def test_embeddings_keep_their_order(self, photos: Path) -> None:
        shutil.copytree(photos.parent / "more", photos / "unlabeled")
        names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
        X = np.arange(len(names), dtype=np.float32)[:, None]
        np.savez(photos.parent / "x.npz", X=X)
        found = pool(photos, unlabeled="same", features=photos.parent / "x.npz")
        assert found.unlabeled is not None
        assert isinstance(found.unlabeled.rows, Examples)
        assert [names[int(k)] for k in found.unlabeled.rows.inputs] == list(found.unlabeled.ids or ())

    def test_none_is_refused(self, photos: Path) -> None:
        with pytest.raises(ValueError, match="needs rows without a label, got none in the images"):
            pool(photos, unlabeled="same", **READING)


class TestFurtherFolder:
    def test_joins_the_training_part(self, photos: Path) -> None:
        more = photos.parent / "more"
        splits, plain = load(photos, unlabeled=more, **READING), load(photos, **READING)
        assert values(splits.unlabeled) == [100, 101]
        assert torch.equal(splits.train.targets, plain.train.targets)
        assert values(splits.train) == values(plain.train)
        assert splits.hash != plain.hash
        found = pool(photos, unlabeled=more, **READING)
        assert found.unlabeled is not None
        assert found.unlabeled.ids == ("more/deep/0.png", "more/deep/1.png")

    def test_rows_read_one_by_one(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(labelled_images, "fits_in_memory", lambda *_: False)
        splits = load(photos, unlabeled=photos.parent / "more", **READING)
        assert isinstance(splits.unlabeled, MappedExamples)
        assert values(splits.unlabeled) == [100, 101]
        batch = splits.train.batch(torch.arange(len(splits.train)))
        assert torch.equal(batch["targets"], splits.train.targets)
        assert "targets" not in splits.unlabeled.batch(torch.arange(2))

    def test_its_images_change_the_hash_of_rows_read_one_by_one(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(labelled_images, "fits_in_memory", lambda *_: False)
        more = photos.parent / "more"
        before = load(photos, unlabeled=more, **READING).hash
        write(more / "deep" / "new.png", 5)
        assert load(photos, unlabeled=more, **READING).hash != before

    def test_others_are_refused(self, photos: Path) -> None:
        (photos.parent / "empty").mkdir()
        for path, line in (
            (photos / "cat", "must lie outside of the labelled images"),
            (photos.parent / "empty", "must be a folder of images"),
            (photos.parent / "nowhere", "does not exist"),
        ):
            with pytest.raises(ValueError, match=line):
                pool(photos, unlabeled=path, **READING)
        with pytest.raises(TypeError, match="must be a folder of images or"):
            pool(photos, unlabeled=np.zeros((2, 8, 8, 3), np.uint8), **READING)
        with pytest.raises(ValueError, match=r"features \(--features\) list the images of one folder"):
            pool(photos, unlabeled=photos.parent / "more", features=photos.parent / "x.npz")

    def test_an_image_that_cannot_be_decoded(self, photos: Path) -> None:
        (photos.parent / "more" / "bad.png").write_bytes(b"no image")
        with pytest.raises(ValueError, match=r"1 of 11 images cannot be decoded: 'more/bad.png'"):
            pool(photos, unlabeled=photos.parent / "more", **READING)
        splits = load(photos, unlabeled=photos.parent / "more", skip_bad=True, **READING)
        assert values(splits.unlabeled) == [100, 101]


class TestMetadata:
    def write(self, photos: Path, cell: str) -> None:
        rows = [
            f"{kind}/{k}.png,{cell if k == 1 else kind},p{k}" for kind, n in (("cat", 5), ("dog", 3)) for k in range(n)
        ]
        (photos / "metadata.csv").write_text("\n".join(["file_name,kind,who", *rows]) + "\n")

    def test_empty_label_cells(self, photos: Path) -> None:
        self.write(photos, "")
        with pytest.raises(ValueError, match=r"must be filled in every row, got '' .*\(--unlabeled same\)"):
            pool(photos, label="kind", **READING)
        splits = load(photos, label="kind", unlabeled="same", **READING)
        assert values(splits.unlabeled) == [1, 11]

    def test_cells_name_several_classes(self, photos: Path) -> None:
        self.write(photos, "cat | cow")
        found = pool(photos, label="kind", candidates="|", **READING)
        assert found.classes == ("cat", "cow", "dog")
        assert found.targets.sum(1).tolist() == [1, 2, 1, 1, 1, 1, 2, 1]
        assert found.kind == found.rows.kind == "candidates"

    def test_groups_of_a_further_folder_need_a_metadata_file(self, photos: Path) -> None:
        self.write(photos, "cat")
        more = photos.parent / "more"
        with pytest.raises(ValueError, match="column 'who' is read from a metadata"):
            pool(photos, label="kind", group="who", unlabeled=more, **READING)
        (more / "metadata.csv").write_text("file_name,who\ndeep/0.png,p0\ndeep/1.png,new\n")
        found = pool(photos, label="kind", group="who", unlabeled=more, **READING)
        assert found.unlabeled is not None
        assert found.groups is not None
        assert found.unlabeled.groups is not None
        assert found.unlabeled.groups[0] == found.groups[0]
        assert found.unlabeled.groups[1] not in found.groups


@pytest.mark.parametrize("in_memory", [True, False])
def test_candidate_sets_from_folder_names(photos: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool) -> None:
    monkeypatch.setattr(labelled_images, "fits_in_memory", lambda *_: in_memory)
    shutil.copytree(photos / "dog", photos / "cow")
    shutil.copytree(photos / "dog", photos / "cat+dog")
    found = pool(photos, candidates="+", **READING)
    assert found.targets.sum(0).tolist() == [8, 3, 6]
    splits = load(photos, candidates="+", **READING)
    assert splits.train.batch(torch.arange(2))["targets"].dtype == torch.bool
    assert set(splits.test.targets.tolist()) <= {0, 1, 2}
    assert splits.test.batch(torch.arange(len(splits.test)))["targets"].equal(splits.test.targets)
