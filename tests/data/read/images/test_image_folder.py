"""A folder of images as a pool: labels, parts, columns, and everything that is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data.pool import Pool
from longtail.data.read import cache
from longtail.data.read.images.image_folder import image_pool
from longtail.data.views import CropFlip
from pictures import PIL, folder, put

EVERY = [f"files/{i}.png,a" for i in range(4)]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos", {"cat": 3, "dog": 2})


def read(path: Path, **options: Any) -> Pool:
    return image_pool(path, **{"size": 16, **options})


def labels(pool: Pool) -> list[str]:
    return [pool.classes[j] for j in pool.targets.tolist()]


def refused(path: Path, *words: str, **options: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        read(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line, line


def columns(root: Path, *rows: str, name: str = "metadata.csv") -> None:
    (root / name).write_text("\n".join(rows) + "\n", encoding="utf-8")


class TestLabels:
    def test_are_the_names_of_the_folders(self, photos: Path) -> None:
        pool = read(photos)
        assert pool.classes == ("cat", "dog")
        assert pool.ids == ("cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png")
        assert labels(pool) == ["cat"] * 3 + ["dog"] * 2
        assert pool.name == "photos"
        assert pool.parts is None
        for j, path in enumerate(pool.ids):
            assert np.array_equal(pool.rows.inputs[j].permute(1, 2, 0).numpy(), np.asarray(PIL.open(photos / path)))

    def test_may_be_any_name(self, tmp_path: Path) -> None:
        names = [
            "nan",
            "None",
            "<b>x<b>",
            "=1+1",
            "été",
            "猫",
            "a*b[1]",
            "#h",
            "%20",
            " spaced ",
            "007",
            "7",
            "a,b",
            "'q'",
        ]
        pool = read(folder(tmp_path, dict.fromkeys(names, 2)))
        assert pool.classes == tuple(sorted(names))
        assert sorted(labels(pool)) == sorted(names * 2)
        assert all(path.startswith(f"{label}/") for path, label in zip(pool.ids, labels(pool), strict=True))

    @pytest.mark.slow
    def test_may_be_ten_thousand(self, tmp_path: Path) -> None:
        one = put(tmp_path / "one.png", size=(4, 4))
        for j in range(10_000):
            (tmp_path / "many" / f"c{j}").mkdir(parents=True)
            os.link(one, tmp_path / "many" / f"c{j}" / "0.png")
        pool = read(tmp_path / "many", size=4)
        assert len(pool.classes) == len(pool) == 10_000

    def test_do_not_depend_on_the_order_of_the_file_system(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before, walk = read(photos), os.walk
        visited = []

        def backwards(*args: Any, **options: Any) -> Any:
            for directory, folders, files in walk(*args, **options):
                folders.sort(reverse=True)
                visited.append(directory)
                yield directory, folders, sorted(files, reverse=True)

        monkeypatch.setattr(os, "walk", backwards)
        after = read(photos)
        assert [Path(directory).name for directory in visited] == ["photos", "dog", "cat"]
        assert after.ids == before.ids
        assert after.rows.inputs.equal(before.rows.inputs)

    def test_nothing_is_written_but_the_cache(
        self, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        before = sorted(photos.rglob("*"))
        read(photos)
        assert sorted(photos.rglob("*")) == before
        assert not list((tmp_path / "temporary").iterdir())

    def test_links_to_folders_and_files_are_followed(self, photos: Path, tmp_path: Path) -> None:
        folder(tmp_path, {"elsewhere": 2})
        (photos / "bird").symlink_to(tmp_path / "elsewhere")
        (photos / "dog" / "2.png").symlink_to(tmp_path / "elsewhere" / "0.png")
        assert labels(read(photos)) == ["bird"] * 2 + ["cat"] * 3 + ["dog"] * 3


class TestParts:
    def test_are_folders_above_the_classes(self, tmp_path: Path) -> None:
        counts = {"Train/a": 2, "Train/b": 2, "validation/a": 1, "test/a": 1, "test/b": 1}
        pool = read(folder(tmp_path, counts))
        assert pool.parts.tolist() == ["train"] * 4 + ["test"] * 2 + ["val"]
        assert labels(pool) == ["a", "a", "b", "b", "a", "b", "a"]

    @pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "eval"])
    def test_have_synonyms(self, tmp_path: Path, name: str) -> None:
        pool = read(folder(tmp_path, {"training/a": 1, "training/b": 1, f"{name}/a": 1, "testing/b": 1}))
        assert sorted(pool.parts.tolist()) == ["test", "train", "train", "val"]

    def test_a_single_training_folder_declares_no_split(self, tmp_path: Path) -> None:
        assert read(folder(tmp_path, {"train/a": 1, "train/b": 1})).parts is None

    def test_a_class_may_be_called_train(self, tmp_path: Path) -> None:
        pool = read(folder(tmp_path, {"bus": 1, "train": 1}))
        assert pool.classes == ("bus", "train")
        assert pool.parts is None

    def test_twice_the_same_part_is_refused(self, tmp_path: Path) -> None:
        refused(folder(tmp_path, {"train/a": 1, "train/b": 1, "val/a": 1, "dev/a": 1}), "'dev' and 'val'", "val part")

    def test_unsorted_test_images_are_refused(self, tmp_path: Path) -> None:
        refused(folder(tmp_path, {"train/a": 1, "train/b": 1, "test": 2}), "'test/0.png'", "no label")

    def test_an_empty_part_is_refused(self, photos: Path, tmp_path: Path) -> None:
        folder(tmp_path / "x", {"train/a": 1, "train/b": 1})
        (tmp_path / "x" / "test").mkdir()
        refused(tmp_path / "x", "part folder 'test'", "no image")

    def test_an_image_beside_the_parts_is_refused(self, tmp_path: Path) -> None:
        put(folder(tmp_path, {"train/a": 1, "train/b": 1}) / "z.png")
        refused(tmp_path, "'z.png'", "beside")


class TestColumns:
    @pytest.fixture
    def flat(self, tmp_path: Path) -> Path:
        root = folder(tmp_path / "flat", {"files": 4})
        columns(
            root,
            "file_name,kind,fold,who,times",
            "files/3.png,nan,test,x,2",
            "files/0.png,007,train,x,1",
            "files/2.png,7,dev,y,0.5",
            './files\\1.png,"a,b",Training,y,0',
        )
        return root

    def test_label_split_group_and_weight_come_by_name_and_stay_text(self, flat: Path) -> None:
        pool = read(flat, label="kind", split="fold", group="who", weight="times")
        assert labels(pool) == ["007", "a,b", "7", "nan"]
        assert pool.classes == ("007", "7", "a,b", "nan")
        assert pool.parts.tolist() == ["train", "train", "val", "test"]
        assert pool.groups.tolist() == [0, 1, 1, 0]
        assert pool.sample_weight.tolist() == [1, 0, 0.5, 2]
        assert pool.rows.sample_weight.equal(pool.sample_weight)

    def test_beside_class_folders_the_further_columns_are_read(self, photos: Path) -> None:
        columns(photos / "cat", "file_name,who", "0.png,a", "1.png,b", "2.png,b")
        columns(photos / "dog", "who,file_name", "b,0.png", "c,1.png")
        pool = read(photos, group="who")
        assert pool.groups.tolist() == [0, 1, 1, 1, 2]
        assert labels(pool) == ["cat"] * 3 + ["dog"] * 2

    def test_a_byte_order_mark_is_no_part_of_a_name(self, flat: Path) -> None:
        text = (flat / "metadata.csv").read_text()
        (flat / "metadata.csv").write_text(text, encoding="utf-8-sig")
        assert labels(read(flat, label="kind")) == ["007", "a,b", "7", "nan"]

    def test_a_file_that_no_column_was_asked_of_is_noted(self, photos: Path) -> None:
        columns(photos, "file_name,who", "nothing.png,a")
        assert any("metadata.csv was not read" in note for note in read(photos).notes)

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            ([], ["is empty"]),
            (["file_name,kind"], ["no rows"]),
            (["name,kind", "files/0.png,a"], ["no column 'file_name'"]),
            (["file_name;kind", "files/0.png;a"], ["separated by something other"]),
            (["file_name,kind", "files/0.png,a"], ["does not list 'files/1.png'"]),
            (["file_name,kind,kind", "files/0.png,a,a"], ["column 'kind' twice"]),
            (["file_name,kind", "files/0.png"], ["row 0", "must have 2 cells as the header has, got 1"]),
            (["file_name,kind", "files/0.png,a", "files/0.png,a"], ["'files/0.png' twice"]),
            (["file_name,kind", *EVERY, "files/9.png,a"], ["'files/9.png'", "not among"]),
            (["file_name,kind", "../../etc/passwd,a"], ["not among the images"]),
            (["file_name,kind", *EVERY[:2], "files/2.png, ", *EVERY[3:]], ["filled", "' ' for 'files/2.png' (1 such"]),
            (["file_name,kind", *EVERY], ["at least two classes", "'a'"]),
            (["file_name,kind", 'files/0.png,"a'], ["cannot be read as CSV"]),
        ],
    )  # fmt: skip
    def test_what_is_refused_of_metadata(self, flat: Path, lines: list[str], words: list[str]) -> None:
        (flat / "metadata.csv").write_text("\n".join(lines))
        refused(flat, "metadata.csv" if "filled" not in words and "at least two classes" not in words else "", *words,
                label="kind")  # fmt: skip

    def test_utf16_and_other_encodings_are_refused_by_name(self, flat: Path) -> None:
        text = (flat / "metadata.csv").read_text()
        (flat / "metadata.csv").write_text(text, encoding="utf-16")
        refused(flat, "UTF-16", "save it as UTF-8", label="kind")
        (flat / "metadata.csv").write_bytes(text.replace("nan", "été").encode("latin-1"))
        refused(flat, "not UTF-8", label="kind")

    def test_a_column_without_a_file_to_read_it_from_is_refused(self, photos: Path) -> None:
        refused(photos, "'kind'", "metadata.csv", "has none", label="kind")

    def test_wrong_splits_and_weights_are_refused(self, flat: Path) -> None:
        refused(flat, "'kind'", "train, val or test", "'007'", "files/0.png", label="kind", split="kind")
        refused(flat, "weight column 'who'", "'x'", label="kind", weight="who")
        for bad in ("-1", "nan", "inf"):
            columns(flat, "file_name,kind,w", *(f"files/{i}.png,{'ab'[i % 2]},{bad}" for i in range(4)))
            refused(flat, "weight column 'w'", ">= 0", bad, label="kind", weight="w")

    def test_a_split_that_is_declared_twice_is_refused(self, tmp_path: Path) -> None:
        root = folder(tmp_path, {"train/a": 1, "train/b": 1, "test/a": 1})
        columns(root, "file_name,s", "train/a/0.png,train", "train/b/0.png,train", "test/a/0.png,test")
        refused(root, "declared once", "test, train", "'s'", split="s")


class TestRefused:
    def test_no_such_folder_and_a_file(self, photos: Path) -> None:
        refused(photos / "gone", "gone", "does not exist")
        refused(photos / "cat" / "0.png", "not a folder")

    def test_no_image(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("x")
        refused(tmp_path, "no image", "'notes.txt'")

    def test_one_class(self, tmp_path: Path) -> None:
        refused(folder(tmp_path, {"cat": 3}), "at least two classes", "'cat'")

    def test_images_without_class_folders(self, tmp_path: Path) -> None:
        put(tmp_path / "0.png")
        refused(tmp_path, "no class folders", "metadata.csv")

    def test_an_image_beside_the_classes_or_too_deep_inside_of_one(self, photos: Path) -> None:
        put(photos / "z.png")
        refused(photos, "'z.png'", "no label")
        (photos / "z.png").unlink()
        put(photos / "cat" / "2021" / "z.png")
        refused(photos, "'cat/2021/z.png'", "inside of a class folder")

    def test_an_empty_class_folder(self, photos: Path) -> None:
        (photos / "bird").mkdir()
        refused(photos, "class folder 'bird' holds no image", "remove the folder")
        (photos / "bird" / "x.heic").write_bytes(b"x")
        refused(photos, "'bird/x.heic'")

    def test_a_loop_of_links(self, photos: Path) -> None:
        (photos / "cat" / "again").symlink_to(photos)
        refused(photos, "'cat/again'", "symlink loop")
        (photos / "cat" / "again").unlink()
        (photos / "self.png").symlink_to(photos / "self.png")
        refused(photos, "self.png'", "a symbolic link to itself")

    def test_a_loop_through_two_folders(self, photos: Path) -> None:
        (photos / "cat" / "d").symlink_to(photos / "dog")
        (photos / "dog" / "c").symlink_to(photos / "cat")
        refused(photos, "symlink loop")

    def test_a_link_to_nothing_and_a_pipe(self, photos: Path) -> None:
        (photos / "cat" / "z.png").symlink_to(photos / "gone.png")
        refused(photos, "cat/z.png'", "a symbolic link to nothing")
        (photos / "cat" / "z.png").unlink()
        os.mkfifo(photos / "cat" / "z.png")
        refused(photos, "'cat/z.png'", "neither a file")

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
    def test_an_unreadable_folder_and_file(self, photos: Path) -> None:
        (photos / "cat").chmod(0)
        refused(photos, "cat'", "Permission denied")
        (photos / "cat").chmod(0o700)
        (photos / "cat" / "0.png").chmod(0)
        refused(photos, "'cat/0.png'", "Permission denied", skip_bad=True)

    def test_an_unreadable_folder_whoever_asks(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scandir = os.scandir

        def denied(path: Any) -> Any:
            if str(path).endswith("cat"):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", denied)
        refused(photos, "photos/cat' cannot be read", "Permission denied")

    def test_an_unreadable_file_is_never_skipped(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        inside = Path.read_bytes

        def denied(path: Path) -> bytes:
            if path.name == "1.png":
                raise PermissionError(13, "Permission denied")
            return inside(path)

        monkeypatch.setattr(Path, "read_bytes", denied)
        refused(photos, "1.png'", "Permission denied", "--skip-bad does not leave it out", skip_bad=True)

    def test_names_that_are_addresses_or_no_text(self, photos: Path) -> None:
        strange = put(photos / "cat" / "a::b.png")
        refused(photos, "'cat/a::b.png'", "'::'")
        strange.unlink()
        os.rename(photos / "cat" / "0.png", os.fsencode(photos / "cat") + b"/\xff.png")
        refused(photos, "must be Unicode")

    @pytest.mark.parametrize("size", [0, 3, -32, 1025, 32.0, True, "32", None])
    def test_a_size_out_of_range(self, photos: Path, size: Any) -> None:
        refused(photos, "size must be an integer in [4, 1024]", repr(size), size=size)

    @pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
    def test_a_share_out_of_range(self, photos: Path, share: float) -> None:
        refused(photos, "share must be in [0, 1]", share=share)


class TestIgnored:
    def test_other_and_hidden_files_are_counted_and_named(self, photos: Path) -> None:
        (photos / "notes.txt").write_text("x")
        put(photos / ".hidden" / "0.png")
        put(photos / "cat" / "._0.png")
        put(photos / "__MACOSX" / "cat" / "0.png")
        pool = read(photos)
        assert len(pool) == 5
        assert [note for note in pool.notes if note.startswith("4 files that are not images or hidden, ignored: ")]

    def test_a_clean_folder_has_no_such_note(self, photos: Path) -> None:
        assert not [note for note in read(photos).notes if "ignored" in note or "left out" in note]


class TestBad:
    @pytest.fixture
    def damaged(self, photos: Path) -> Path:
        (photos / "cat" / "1.png").write_bytes(b"")
        whole = (photos / "cat" / "2.png").read_bytes()
        (photos / "cat" / "2.png").write_bytes(whole[: len(whole) // 2])
        return photos

    def test_is_named_counted_and_refused(self, damaged: Path) -> None:
        refused(
            damaged, "2 of 5 images cannot be decoded", "'cat/1.png' (empty, 0 bytes)", "'cat/2.png' (", "--skip-bad"
        )

    def test_is_skipped_counted_and_noted_where_asked(self, damaged: Path) -> None:
        for _ in range(2):  # the second time from the cache
            pool = read(damaged, skip_bad=True)
            assert pool.ids == ("cat/0.png", "dog/0.png", "dog/1.png")
            assert labels(pool) == ["cat", "dog", "dog"]
            assert np.array_equal(pool.rows.inputs[1].permute(1, 2, 0), np.asarray(PIL.open(damaged / "dog/0.png")))
            assert pool.facts["skipped"] == ["cat/1.png", "cat/2.png"]
            assert [
                n for n in pool.notes if n.startswith("2 of 5 images could not be decoded and were left out: 'cat/1")
            ]
        refused(damaged, "2 of 5 images cannot be decoded")  # and the cache does not soften the rule

    def test_columns_follow_the_rows_that_are_left(self, damaged: Path) -> None:
        columns(damaged, "file_name,g,w,s", "cat/0.png,a,1,train", "cat/1.png,b,2,train", "cat/2.png,c,3,test",
                "dog/0.png,d,4,train", "dog/1.png,e,5,test")  # fmt: skip
        pool = read(damaged, skip_bad=True, group="g", weight="w", split="s")
        assert pool.groups.tolist() == [0, 3, 4]
        assert pool.sample_weight.tolist() == [1, 4, 5]
        assert pool.parts.tolist() == ["train", "train", "test"]

    def test_a_class_without_a_sound_image_is_refused(self, damaged: Path) -> None:
        (damaged / "cat" / "0.png").write_bytes(b"x")
        refused(damaged, "class 'cat' has no image that can be decoded", skip_bad=True)

    def test_nothing_sound_at_all_is_refused(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "0.png").write_bytes(b"x")
        refused(tmp_path, "none of 2 images", skip_bad=True)


class TestCache:
    def test_a_second_reading_decodes_nothing(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = read(photos)
        decode = "longtail.data.read.images.decode"
        monkeypatch.setattr(f"{decode}.pixels", lambda *_: pytest.fail("decoded again"))
        after = read(photos)
        assert after.rows.inputs.equal(before.rows.inputs)
        assert after.ids == before.ids

    def test_a_changed_image_another_size_and_other_rules_are_decoded_again(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = read(photos)
        put(photos / "cat" / "0.png", seed=99)
        assert not read(photos).rows.inputs.equal(before.rows.inputs)
        assert read(photos, size=8).rows.input_shape == (3, 8, 8)
        monkeypatch.setattr("longtail.data.read.images.decode.RULES", 99)
        decode = "longtail.data.read.images.decode"
        monkeypatch.setattr(f"{decode}.pixels", lambda *_: (_ for _ in ()).throw(OSError(5, "again")))
        refused(photos, "again")

    def test_labels_are_not_kept(self, photos: Path) -> None:
        read(photos)
        (photos / "dog").rename(photos / "wolf")
        assert read(photos).classes == ("cat", "wolf")

    def test_a_damaged_cache_is_decoded_again(self, photos: Path, caplog: pytest.LogCaptureFixture) -> None:
        before = read(photos)
        (file,) = cache.folder().glob("*.safetensors")
        file.write_bytes(file.read_bytes()[:-1] + b"\0")
        assert read(photos).rows.inputs.equal(before.rows.inputs)


def test_training_images_are_shifted_and_mirrored_from_16_pixels_on(photos: Path) -> None:
    assert read(photos, size=32).rows.augment == CropFlip(pad=4)
    assert read(photos, size=16).rows.augment == CropFlip(pad=2)
    assert read(photos, size=15).rows.augment is None
    assert read(photos, size=32, augment=False).rows.augment is None


def test_the_preparation_gives_the_pools_own_inputs(photos: Path, tmp_path: Path) -> None:
    pool = read(photos)
    assert pool.preparation(photos).equal(pool.rows.inputs)
    moved = shutil.move(photos, tmp_path / "moved")
    assert pool.preparation.paths(moved) == list(pool.ids)
    assert torch.equal(pool.preparation([Path(moved) / path for path in pool.ids]), pool.rows.inputs)
