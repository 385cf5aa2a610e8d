"""From a pool to splits: what is declared wins, weights go along, and nothing is fitted on rows that are tested."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import Examples, MappedExamples, load
from longtail.data.pool import Pool
from longtail.data.split.folds import Folds
from longtail.data.split.holdout import split
from longtail.data.splits import Splits

Y = np.repeat(np.arange(3), [60, 24, 8])


def pool(y: np.ndarray = Y, **more: Any) -> Pool:
    targets = torch.from_numpy(y)
    classes = tuple(map(str, range(int(y.max()) + 1)))
    rows = Examples(torch.arange(len(y)).float()[:, None], targets, classes)
    return Pool("toy", rows, targets, classes, **more)


def rows_of(part: Any) -> list[int]:
    return [int(x) for x in part.inputs[:, 0].tolist()]


@pytest.mark.parametrize("options", [{}, {"test": 0.4}, {"val": 0.2}, {"ratio": 4.0}, {"ratio": 3.0, "val": 0.3}])
def test_without_groups_the_rows_are_those_of_loading_arrays(options: dict[str, float]) -> None:
    features = torch.arange(len(Y)).float()[:, None]
    expected = load(features, torch.from_numpy(Y), **options)  # type: ignore[arg-type]
    found = split(replace(pool(), facts={"source": "data"}), **options)  # type: ignore[arg-type]
    for name in ("train", "val", "test"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None) == (name == "val" and "val" not in options)
        assert one is None or rows_of(one) == rows_of(other)
    assert found.hash == expected.hash
    assert found.facts == expected.facts


class TestDeclared:
    parts = np.array((["train"] * 4 + ["val", "test"]) * 16)[: len(Y)]

    def test_wins(self) -> None:
        found = split(pool(parts=self.parts), test=0.5, val=0.5)
        assert found.val is not None
        for name, part in (("train", found.train), ("val", found.val), ("test", found.test)):
            assert rows_of(part) == np.flatnonzero(self.parts == name).tolist()
        assert "test" not in found.facts

    def test_what_is_not_declared_is_held_out_of_the_training_rows(self) -> None:
        parts = np.where(self.parts == "val", "val", "train")
        found = split(pool(parts=parts), test=0.25)
        assert found.val is not None
        assert rows_of(found.val) == np.flatnonzero(parts == "val").tolist()
        assert not set(rows_of(found.test)) & set(rows_of(found.val))
        assert found.facts["test"] == 0.25

    def test_groups_that_it_tears_apart_are_counted(self) -> None:
        groups = np.arange(len(Y))
        groups[5] = groups[0]
        notes = " ".join(split(pool(parts=self.parts, groups=groups)).notes)
        assert "1 group has rows in more than one of the declared parts" in notes
        assert "more than one" not in " ".join(split(pool(parts=self.parts, groups=np.arange(len(Y)))).notes)


class TestWeights:
    weights = torch.arange(len(Y)).float() % 4

    def test_go_with_their_rows(self) -> None:
        found = split(pool(sample_weight=self.weights), val=0.2)
        for part in (found.train, found.val, found.test):
            assert part is not None
            assert part.sample_weight is not None
            assert part.sample_weight.tolist() == [row % 4 for row in rows_of(part)]
        assert "counts are sums of sample weights: 92 rows weigh 138 in all" in found.notes

    def test_class_counts_are_those_of_copies(self) -> None:
        copies = self.weights.long()
        for rows in (Examples, mapped):
            one = rows(torch.zeros(len(Y), 1), torch.from_numpy(Y), ("a", "b", "c"))
            assert one.class_counts.dtype == torch.int64
            weighted = replace(one, sample_weight=self.weights)
            repeated = rows(
                torch.zeros(int(copies.sum()), 1), torch.from_numpy(Y).repeat_interleave(copies), ("a", "b", "c")
            )
            assert weighted.class_counts.tolist() == repeated.class_counts.tolist()
            assert weighted.class_counts.dtype == torch.float64

    def test_a_class_that_weighs_nothing_is_refused(self) -> None:
        weights = torch.where(torch.from_numpy(Y) == 2, 0.0, 1.0)
        with pytest.raises(ValueError, match="of weight > 0, got only 0 in class '2'; correct its weights"):
            split(pool(sample_weight=weights))

    def test_singletons_are_told_by_rows_not_by_weights(self) -> None:
        y = np.repeat(np.arange(3), [20, 6, 1])
        found = split(pool(y, sample_weight=torch.full((27,), 5.0)))
        assert 26 in rows_of(found.train)
        assert found.class_counts[2] == 5


def mapped(inputs: torch.Tensor, targets: torch.Tensor, classes: tuple[str, ...]) -> MappedExamples:
    return MappedExamples(list(zip(inputs, targets.tolist(), strict=True)), targets, classes, identity="toy")


def test_rows_behind_a_data_set_are_cut_alike() -> None:
    inputs = torch.arange(len(Y)).float()[:, None]
    behind = replace(pool(), rows=mapped(inputs, torch.from_numpy(Y), ("0", "1", "2")))
    one, other = split(behind, val=0.2), split(pool(), val=0.2)
    for a, b in ((one.train, other.train), (one.val, other.val), (one.test, other.test)):
        assert isinstance(a, MappedExamples)
        assert isinstance(b, Examples)
        assert torch.cat(list(a.chunks(10))).equal(b.inputs)
    fold = Folds(behind, 3).splits(0, 1).test
    assert isinstance(fold, MappedExamples)
    assert torch.cat(list(fold.chunks(10))).flatten().tolist() == rows_of(Folds(pool(), 3).splits(0, 1).test)


@pytest.mark.parametrize(
    ("y", "options", "told"),
    [
        (np.arange(4), {}, "no class has two examples, so nothing can be held out for testing; add examples"),
        (np.zeros(4, dtype=int), {}, "data must have at least two classes, got only '0'"),
        (Y, {"test": 1.0}, r"test must be in \(0, 1\), the share that is held out, got 1.0; try 0.2"),
        (Y, {"val": 0.0}, r"val \(--val\) must be in \(0, 1\), the share that is held out, got 0.0; try 0.2"),
        (Y, {"ratio": 0.5}, "ratio must be >= 1"),
    ],
)
def test_what_cannot_be_split_is_one_line(y: np.ndarray, options: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        split(pool(y), **options)  # type: ignore[arg-type]


def test_being_checked_twice_says_things_once() -> None:
    found: Splits = split(pool(np.repeat(np.arange(3), [20, 6, 1])))
    assert found.checked().notes == found.notes
    assert sum("cannot be measured" in note for note in found.notes) == 1


class TestNoLeak:
    """A planted column: its value tells train from test, so whoever looked at test rows would show it."""

    def frame(self) -> tuple[Any, np.ndarray]:
        pandas = pytest.importorskip("pandas")
        generator = np.random.default_rng(0)
        return pandas.DataFrame(
            {
                "number": generator.normal(size=len(Y)) + Y,
                "planted": generator.normal(size=len(Y)),
                "word": generator.choice(["red", "green", "blue"], len(Y)),
            }
        ), Y

    def pool(self, frame: Any) -> Pool:
        from longtail.data.read.tables.table import Table

        return Pool("table", Table(frame), torch.from_numpy(Y), ("0", "1", "2"))

    def planted(self, rows: list[int]) -> Pool:
        """The same table, with a huge number, missing cells and an unheard-of word in these rows."""
        frame, _ = self.frame()
        frame.loc[rows, "planted"] = 1e6
        frame.loc[rows[::2], "number"] = np.nan
        frame.loc[rows, "word"] = "ultraviolet"
        return self.pool(frame)

    def test_test_and_validation_rows_do_not_reach_the_preparation(self) -> None:
        clean = split(self.pool(self.frame()[0]), val=0.2)
        again = [int(r) for r in split(pool(), val=0.2).train.inputs[:, 0]]
        outside = sorted(set(range(len(Y))) - set(again))
        dirty = split(self.planted(outside), val=0.2)
        assert isinstance(clean.train, Examples)
        assert isinstance(dirty.train, Examples)
        assert dirty.train.inputs.equal(clean.train.inputs)
        assert dirty.preparation is not None
        assert clean.preparation is not None
        assert dirty.preparation.to_json() == clean.preparation.to_json()
        assert dirty.preparation.blobs() == clean.preparation.blobs()
        assert isinstance(dirty.test, Examples)
        assert float(dirty.test.inputs.max()) > 1e5  # what was planted is there, and far outside of training

    def test_a_fold_does_not_see_the_others(self) -> None:
        folds = Folds(self.pool(self.frame()[0]), 3)
        for fold in range(3):
            clean = folds.splits(1, fold)
            planted = np.flatnonzero(folds.partition(1) == fold).tolist()
            dirty = Folds(self.planted(planted), 3).splits(1, fold)
            assert isinstance(clean.train, Examples)
            assert isinstance(dirty.train, Examples)
            assert dirty.train.inputs.equal(clean.train.inputs)
            assert isinstance(dirty.test, Examples)
            assert float(dirty.test.inputs.max()) > 1e5

    def test_the_planted_rows_would_show_in_training(self) -> None:
        folds = Folds(self.pool(self.frame()[0]), 3)
        planted = np.flatnonzero(folds.partition(1) == 0).tolist()
        dirty, clean = Folds(self.planted(planted), 3).splits(1, 1), folds.splits(1, 1)
        assert isinstance(clean.train, Examples)
        assert isinstance(dirty.train, Examples)
        assert not dirty.train.inputs.equal(clean.train.inputs)
