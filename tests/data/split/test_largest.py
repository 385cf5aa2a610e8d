"""The size of the largest class after a cut, and the class counts of the field's long-tailed CIFAR by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases

from longtail.cli import run
from longtail.data import load
from longtail.data.read import cifar
from longtail.data.read.dispatch import pool
from longtail.data.split.holdout import split
from longtail.data.split.search import search_splits, training_pool
from longtail.facts.groups import groups
from longtail.facts.profiles import long_tail
from tiny_cifar import TINY, write

Y = np.repeat([0, 1, 2], [60, 40, 30])
X = np.arange(len(Y), dtype=np.float32)[:, None]


@cases(
    ("largest", "classes", "ratio", "total", "smallest"),
    [
        # Cao et al. 2019 and GH: all images of the largest class
        (5000, 10, 100, 12_406, 50),
        (5000, 10, 50, 13_996, 100),
        (5000, 10, 10, 20_431, 500),
        (500, 100, 100, 10_847, 5),
        (500, 100, 50, 12_608, 10),
        (500, 100, 10, 19_573, 50),
        # SDCLR, BCL and TS, whose 5,000 validation images are left out before; 45 and 4 are their few-shot sizes
        (450, 100, 100, 9_754, 4),
        (4500, 10, 100, 11_165, 45),
    ],
)
def test_totals_are_the_published_ones(largest: int, classes: int, ratio: float, total: int, smallest: int) -> None:
    counts = long_tail(largest, classes, ratio)
    assert (int(counts.sum()), int(counts.max()), int(counts.min())) == (total, largest, smallest)
    many, medium, few, _ = groups(counts)
    if classes == 10:
        assert len(many) + len(medium) + len(few) == 10
    elif largest == 500:  # Decoupling, RIDE
        sizes = {100: (35, 35, 30), 50: (41, 41, 18), 10: (34, 33, 33)}  # no class is few at 10: thirds
        assert (len(many), len(medium), len(few)) == sizes[int(ratio)]


def test_sdclrs_balanced_subsets_have_as_many_rows_but_for_the_remainder() -> None:
    for largest, classes, published in ((450, 100, 9_700), (4500, 10, 11_160)):
        total = int(long_tail(largest, classes, 100).sum())
        assert published == int(long_tail(total // classes, classes, 1).sum())


@cases(
    ("data", "labelled", "rest"),
    [
        # ABC and SVHN: N1 = 1000, M1 = 4000 (CIFAR-100: 200, 300 at ratio 20); DARP: 1500, 3000 and 300, 150
        (10, (1000, 100), (4000, 100)),
        (100, (200, 20), (300, 20)),
        (10, (1500, 100), (3000, 100)),
        (100, (300, 20), (150, 20)),
    ],
)
def test_few_labels_fit_the_images_of_a_class(data: int, labelled: tuple[int, int], rest: tuple[int, int]) -> None:
    both = long_tail(labelled[0], data, labelled[1]) + long_tail(rest[0], data, rest[1])
    assert int(both.max()) <= {10: 5000, 100: 500}[data]


class TestRows:
    def test_are_the_profile_with_this_many_in_the_largest_class(self) -> None:
        splits = load(X, Y, test=0.5, ratio=4, largest=16)
        assert splits.class_counts.tolist() == [16, 8, 4]
        assert splits.facts["largest"] == 16
        assert load(X, Y, test=0.5, ratio=1, largest=7).class_counts.tolist() == [7, 7, 7]
        assert load(X, Y, test=0.5, ratio=4, profile="step", largest=8).class_counts.tolist() == [8, 2, 2]

    def test_are_a_subset_of_those_of_a_larger_cut(self) -> None:
        small, large = (load(X, Y, test=0.5, ratio=4, largest=n).train.inputs for n in (8, 24))
        assert torch.isin(small, large).all()

    def test_without_it_are_as_before(self) -> None:
        splits = load(X, Y, test=0.5, ratio=4)
        assert "largest" not in splits.facts
        assert splits.class_counts.tolist() == [30, 15, 7]

    def test_are_those_of_a_search_and_of_digits_too(self) -> None:
        rows = pool(X, Y)
        whole = split(rows, ratio=4, largest=16, val=0.25)
        assert search_splits(rows, ratio=4, largest=16, val=0.25).train.inputs.equal(whole.train.inputs)
        made = training_pool(rows, ratio=4, largest=16)
        assert torch.bincount(made.targets).tolist() == [16, 8, 4]
        assert load("digits", ratio=5, largest=50).class_counts.tolist() == long_tail(50, 10, 5).tolist()
        assert load("digits", largest=100).class_counts.equal(load("digits").class_counts)

    def test_are_those_of_cifar_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(cifar.SOURCES, "cifar10", TINY)
        monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))
        write(tmp_path / "data", "train", 20)
        write(tmp_path / "data", "test", 3, seed=1)
        splits = load("cifar10", data_dir=tmp_path / "data", ratio=10, largest=15)
        assert splits.class_counts.tolist() == long_tail(15, 10, 10).tolist()
        with pytest.raises(ValueError, match="must be at most 20 for cifar10, the training images of a class, got 21"):
            load("cifar10", data_dir=tmp_path / "data", ratio=10, largest=21)


@cases(
    ("options", "message"),
    [
        ({"largest": 5}, r"largest \(--largest\) needs ratio \(--ratio\), the shape of the cut, got 5 alone"),
        ({"largest": 0, "ratio": 2}, r"largest \(--largest\) must be >= 1, got 0"),
        ({"largest": 2.5, "ratio": 2}, r"largest \(--largest\) must be an integer, got 2.5"),
        (
            {"largest": 50, "ratio": 1},
            r"largest \(--largest\) must fit the training rows, got 50, which needs 50 of class '0' where 45 are",
        ),
        ({"largest": 2, "ratio": 4}, "class '2' would have no example at this ratio; lower the ratio"),
    ],
)
def test_what_cannot_be_cut_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        load(X, Y, **options)


def test_it_is_refused_for_data_with_parts_folds_and_large_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="ratio cannot be applied to data that are already split"):
        load(load(X, Y), ratio=2, largest=5)
    with pytest.raises(ValueError, match=r"largest \(--largest\) must be at most 100 for digits"):
        load("digits", largest=101)
    assert run(["compare", "digits", "--largest", "0", "--dry-run"]) == 2
    assert "--largest" in capsys.readouterr().err
    arguments = ["compare", "digits", "--largest", "40", "--ratio", "4", "--methods", "ce", "--dry-run"]
    assert run([*arguments, "--out", str(tmp_path)]) == 0
