"""Lists of images: the published totals of the large benchmarks, class names, and everything that is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cases import cases

from longtail.data.read.images.list_files import read_lists
from longtail.facts.groups import groups


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def made_counts(total: int, largest: int, smallest: int, sizes: tuple[int, int, int]) -> list[int]:
    """Class sizes with this total, largest, smallest and numbers of classes > 100, 20 to 100 and < 20."""
    many, medium, few = sizes
    counts = [largest] + [101] * (many - 1) + [20] * medium + [smallest] * few
    room = [largest - 101] * many + [80] * medium + [19 - smallest] * (few - 1) + [0]
    room[0], missing = 0, total - sum(counts)
    for j in range(len(counts)):
        step = min(room[j], missing)
        counts[j], missing = counts[j] + step, missing - step
    assert missing == 0
    return counts


BENCHMARKS = {
    "ImageNet-LT": (115_846, 1280, 5, (385, 479, 136)),
    "ImageNet-100-LT": (12_205, 1280, 6, (39, 48, 13)),
    "Places-LT": (62_500, 4980, 5, (131, 163, 71)),
}
"""Images, the largest and the smallest class, and classes of more than 100, of 20 to 100 and of fewer than 20."""


@cases("name", list(BENCHMARKS))
def test_totals_and_groups_are_the_published_ones(name: str, tmp_path: Path) -> None:
    total, largest, smallest, sizes = BENCHMARKS[name]
    counts = made_counts(total, largest, smallest, sizes)
    lines = [f"train/n{j:08d}/n{j:08d}_{i}.JPEG {j}" for j, n in enumerate(counts) for i in range(n)]
    np.random.RandomState(0).shuffle(lines)
    classes = sum(sizes)
    val = [f"val/n{j:08d}/v_{i}.JPEG {j}" for j in range(classes) for i in range(2)]
    test = [f"val/n{j:08d}/t_{i}.JPEG {j}" for j in range(classes) for i in range(3)]
    listed = read_lists(*(written(tmp_path / f"{k}.txt", *part) for k, part in enumerate((lines, val, test))))
    assert listed.parts is not None
    training = torch.from_numpy(listed.parts == "train")
    found = torch.bincount(listed.targets[training], minlength=classes)
    assert (int(found.sum()), int(found.max()), int(found.min()), len(found)) == (total, largest, smallest, classes)
    assert found.tolist() == counts
    many, medium, few, _ = groups(found)
    assert (len(many), len(medium), len(few)) == sizes
    assert (listed.parts == "val").sum() == 2 * classes
    assert (listed.parts == "test").sum() == 3 * classes
    assert listed.classes[:2] == ("n00000000", "n00000001")
    assert [f"{p} {t}" for p, t in zip(listed.paths, listed.targets.tolist(), strict=True)] == [*lines, *val, *test]


@pytest.mark.slow
def test_inaturalist_has_8142_classes(tmp_path: Path) -> None:
    # its groups are not stated in what we know of it
    counts = [1000] * 380 + [2] * 7762
    counts[-1] += 437_513 - sum(counts)
    lines = (f"train_val2018/Aves/{j}/{i:032x}.jpg {j}" for j, n in enumerate(counts) for i in range(n))
    listed = read_lists(written(tmp_path / "iNaturalist18_train.txt", *lines))
    assert (len(listed.targets), len(listed.classes)) == (437_513, 8142)
    assert listed.classes[17] == "17"
    assert listed.parts is None


class TestClassNames:
    def names(self, tmp_path: Path, *lines: str) -> tuple[str, ...]:
        return read_lists(written(tmp_path / "t", *lines)).classes

    def test_are_those_of_the_folders_in_the_order_of_the_indices(self, tmp_path: Path) -> None:
        assert self.names(tmp_path, "x/dog/1.jpg 1", "x/cat/1.jpg 0", "y/dog/1.jpg 1") == ("cat", "dog")

    def test_are_indices_where_folders_do_not_tell_the_classes_apart(self, tmp_path: Path) -> None:
        assert self.names(tmp_path, "house/outdoor/1.jpg 0", "church/outdoor/1.jpg 1") == ("0", "1")
        assert self.names(tmp_path, "cat/1.jpg 0", "lynx/1.jpg 0", "dog/1.jpg 1") == ("0", "1")
        assert self.names(tmp_path, "1.jpg 0", "a/2.jpg 1") == ("0", "1")

    def test_do_not_follow_the_folders_of_validation_images(self, tmp_path: Path) -> None:
        train = written(tmp_path / "t", "a/1.jpg 0", "b/1.jpg 1")
        assert read_lists(train, written(tmp_path / "v", "val/1.jpg 0", "val/2.jpg 1")).classes == ("a", "b")


def test_spaces_tabs_empty_lines_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes("\ufeffa/a photo.jpg 0\r\n\r\n  b\\x.jpg\t1  \r\n./b//y.jpg 01\r\n".encode())
    listed = read_lists(path)
    assert listed.paths == ("a/a photo.jpg", "b/x.jpg", "b/y.jpg")
    assert listed.targets.tolist() == [0, 1, 1]


@cases(
    ("train", "val", "message"),
    [
        (["a/1.jpg 0", "b/1.jpg"], None, "t, line 2 must be a path and a class index, .*'b/1.jpg'"),
        (["a/1.jpg,0"], None, "t, line 1 must be a path and a class index"),
        (["a/1.jpg 0", "", "b/1.jpg one"], None, "t, line 3 must be a path and a class index"),
        (["a/1.jpg 0.5"], None, "t, line 1 must be a path and a class index"),
        (["a/1.jpg -1"], None, "t, line 1 must have a class index >= 0 .* got -1; number classes from 0"),
        (["a/1.jpg " + "9" * 40], None, "t, line 1 must have a class index >= 0 and below 100,000,000"),
        (["/a/1.jpg 0"], None, "t, line 1 must be a path relative to the folder of the images"),
        (["C:\\a\\1.jpg 0"], None, "t, line 1 must be a path relative"),
        (["a/../../1.jpg 0"], None, "t, line 1 must be a path relative"),
        (["zip://1.jpg 0"], None, "t, line 1 must not hold"),
        ([], None, "train_list .* must list an image a line, got none"),
        (["a/1.jpg 0", "b/1.jpg 1", "a/1.jpg 1"], None, "t, line 3 lists 'a/1.jpg', which .*t, line 1 lists, too"),
        (["a/1.jpg 0", "b/1.jpg 1"], ["c/1.jpg 0", "b/1.jpg 1"], "v, line 2 lists 'b/1.jpg', which .*t, line 2 lists"),
        (
            ["a/1.jpg 0", "b/1.jpg 1"],
            ["c/1.jpg 2"],
            r"v, line 1 must have a class index in \[0, 2\), .* got 2; list tr",
        ),
        (
            ["a/1.jpg 1", "b/1.jpg 99999999"],
            None,
            "t must list a training image of .* none of 0, 2, 3 and 99999995 more",
        ),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(
    train: list[str], val: list[str] | None, message: str, tmp_path: Path
) -> None:
    lists = [written(tmp_path / name, *lines) for name, lines in (("t", train), ("v", val)) if lines is not None]
    with pytest.raises(ValueError, match=message) as caught:
        read_lists(*lists)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"list of images train_list \(--train-list\) .*none.txt' does not exist"):
        read_lists(tmp_path / "none.txt")
    for data, kind in (
        ("a/1.jpg 0\n".encode("utf-16"), "UTF-16"),
        (b"\xff\xfe\xfd 0", "UTF-16"),
        (b"\xe9 0", "no UTF-8 text"),
    ):
        (tmp_path / "t").write_bytes(data)
        with pytest.raises(ValueError, match=f"is {kind}; save it as UTF-8"):
            read_lists(tmp_path / "t")
