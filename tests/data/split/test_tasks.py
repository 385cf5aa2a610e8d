"""Splits and folds of data with rows without labels and of candidate sets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail.data import Examples, Pool, load, pool, split
from longtail.data.simulate import simulation
from longtail.data.split.folds import Folds

C = 3


def partial(sizes: tuple[int, ...] = (24, 16, 8), share: float = 0.5, groups: int = 0) -> Pool:
    """Candidate sets of one or two classes; the input of a row is its number."""
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(C), sizes)
    sets = np.eye(C, dtype=bool)[y]
    several = draw.random(len(y)) < share
    sets[several, (y[several] + 1) % C] = True
    options = {"group": draw.integers(0, groups, len(y))} if groups else {}
    return pool(np.arange(len(y), dtype=np.float32)[:, None], candidates=sets, **options)


def some(groups: int = 0) -> Pool:
    """Every third row has no label."""
    y = np.repeat(np.arange(C), (30, 18, 12))
    options = {"group": np.random.default_rng(0).integers(0, groups, 60)} if groups else {}
    labels = np.where(np.arange(60) % 3 == 1, -1, y)
    return pool(np.arange(60, dtype=np.float32)[:, None], labels, unlabeled="same", **options)


def rows(part: object) -> list[int]:
    assert isinstance(part, Examples)
    return part.inputs[:, 0].int().tolist()


class TestPartialLabels:
    @given(st.tuples(*[st.integers(1, 30)] * C), st.sampled_from([0.1, 0.25, 0.5]), st.floats(0.1, 0.8))
    @settings(max_examples=40, deadline=None)
    def test_at_most_half_of_the_rows_with_one_candidate_are_tested(
        self, sizes: tuple[int, ...], test: float, share: float
    ) -> None:
        data = partial(sizes, share)
        try:
            splits = split(data, test=test)
        except ValueError as error:
            assert "no class has two of them" in str(error) or "every class must" in str(error)  # noqa: PT017
            return
        single = torch.bincount(data.known[data.known >= 0], minlength=C)
        held = torch.bincount(splits.test.targets, minlength=C)
        assert bool((2 * held <= single).all())
        assert splits.test.targets.tolist() == data.known[rows(splits.test)].tolist()
        assert sorted(rows(splits.train) + rows(splits.test)) == list(range(len(data)))
        assert torch.equal(splits.train.targets, data.targets[rows(splits.train)])

    def test_validation_rows_have_one_too(self) -> None:
        splits = split(partial(), val=0.2)
        assert splits.val is not None
        assert splits.val.kind == "given"
        assert not set(rows(splits.val)) & set(rows(splits.train) + rows(splits.test))

    def test_more_than_half_is_refused(self) -> None:
        with pytest.raises(ValueError, match="may hold out at most half of the rows with one candidate, got 0"):
            split(partial(), test=0.6)
        with pytest.raises(ValueError, match="may hold out at most half"):
            split(partial(), test=0.4, val=0.3)

    def test_without_rows_with_one_there_is_nothing_to_test(self) -> None:
        with pytest.raises(
            ValueError, match="partial labels are tested on rows with one candidate, and no class has two"
        ):
            split(partial(share=1.0))
        with pytest.raises(
            ValueError, match="partial labels are tested on rows with one candidate, and no class has two"
        ):
            Folds(partial(share=1.0), 2)

    def test_a_ratio_is_refused(self) -> None:
        with pytest.raises(ValueError, match="needs one label a row to make data long-tailed"):
            split(partial(), ratio=2)

    @pytest.mark.parametrize("groups", [0, 12])
    def test_folds_test_every_row_with_one_once(self, groups: int) -> None:
        data = partial(groups=groups)
        folds = Folds(data, 3)
        assert set(folds.tested.tolist()) <= set(torch.nonzero(data.known >= 0).flatten().tolist())
        for seed in range(2):
            tested: list[int] = []
            for k in range(3):
                splits = folds.splits(seed, k)
                tested += rows(splits.test)
                assert splits.train.kind == "candidates"
                assert not set(rows(splits.train)) & set(rows(splits.test))
                if data.groups is not None:
                    assert not set(data.groups[rows(splits.train)]) & set(data.groups[rows(splits.test)])
            assert sorted(tested) == folds.tested.tolist()
        assert folds.kind == "candidates"
        assert folds.clean_counts is None
        assert folds.class_counts.sum() == pytest.approx(len(data))

    def test_groups_are_never_separated(self) -> None:
        data = partial(groups=20)
        splits = split(data, val=0.2)
        assert data.groups is not None
        parts = [set(data.groups[rows(part)]) for part in (splits.train, splits.val, splits.test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


class TestRowsWithoutLabels:
    def test_are_in_the_training_part_of_every_fold(self) -> None:
        data = some()
        folds = Folds(data, 4, val=0.2)
        for k in range(4):
            splits = folds.splits(0, k)
            assert rows(splits.unlabeled) == [row for row in range(60) if row % 3 == 1]
            for part in (splits.train, splits.val, splits.test):
                assert not {row for row in rows(part) if row % 3 == 1}
        assert folds.has_unlabeled
        assert folds.hash != Folds(some(groups=5), 4, val=0.2).hash

    def test_of_groups_that_are_evaluated_are_left_out(self) -> None:
        data = some(groups=15)
        assert data.unlabeled is not None
        assert data.groups is not None
        groups = np.random.default_rng(0).integers(0, 15, 60)
        for splits in (Folds(data, 3).splits(0, 1), split(data, val=0.2)):
            evaluated = rows(splits.test) + ([] if splits.val is None else rows(splits.val))
            expected = [r for r in range(60) if r % 3 == 1 and groups[r] not in set(groups[evaluated])]
            assert rows(splits.unlabeled) == expected

    def test_origins_lead_back_to_the_source(self) -> None:
        splits = split(some())
        assert splits.test_rows is not None
        assert splits.test_rows.tolist() == rows(splits.test)

    def test_change_the_hash_of_folds(self) -> None:
        y = np.repeat(np.arange(C), (30, 18, 12))
        X, more = np.arange(60, dtype=np.float32)[:, None], np.ones((4, 1), np.float32)
        hashes = [
            Folds(pool(X, y, **options), 3).hash for options in ({}, {"unlabeled": more}, {"unlabeled": more + 1})
        ]
        assert len(set(hashes)) == 3


class TestSimulationsInFolds:
    def data(self) -> Pool:
        y = np.repeat(np.arange(C), (30, 18, 12))
        return pool(np.arange(60, dtype=np.float32)[:, None], y)

    def test_labels_are_removed_of_training_rows_and_all_rows_are_tested(self) -> None:
        data = self.data()
        folds = Folds(data, 3, None, simulation(labeled=0.25))
        tested: list[int] = []
        for k in range(3):
            splits = folds.splits(0, k)
            tested += rows(splits.test)
            assert splits.class_counts.tolist() == [5, 3, 2]
            assert sorted(rows(splits.train) + rows(splits.unlabeled) + rows(splits.test)) == list(range(60))
            assert splits.truth is not None
            assert splits.truth.tolist() == data.targets[rows(splits.train) + rows(splits.unlabeled)].tolist()
        assert sorted(tested) == list(range(60))
        assert folds.has_unlabeled
        assert folds.class_counts.tolist() == [8, 5, 3]
        assert folds.facts["labeled"] == 0.25

    def test_a_row_has_the_same_candidates_in_every_fold_and_a_clean_label_when_tested(self) -> None:
        data = self.data()
        folds = Folds(data, 3, None, simulation(ambiguity=0.4))
        sets: dict[int, list[bool]] = {}
        for seed in range(2):
            for k in range(3):
                splits = folds.splits(seed, k)
                assert splits.test.targets.tolist() == data.targets[rows(splits.test)].tolist()
                for row, targets in zip(rows(splits.train), splits.train.targets.tolist(), strict=True):
                    assert sets.setdefault(row, targets) == targets
        assert folds.kind == "candidates"
        assert not folds.counts_known
        assert folds.clean_counts is not None
        assert folds.clean_counts.tolist() == [30, 18, 12]
        assert folds.hash != Folds(data, 3).hash != Folds(data, 3, None, simulation(ambiguity=0.3)).hash

    def test_of_data_whose_labels_are_not_all_known_is_refused(self) -> None:
        for data in (some(), partial()):
            with pytest.raises(
                ValueError, match=r"labeled \(--labeled\) must be given for data whose labels are all known"
            ):
                Folds(data, 3, None, simulation(labeled=0.25))


def test_load_and_split_agree() -> None:
    y = np.repeat(np.arange(C), (30, 18, 12))
    X = np.arange(60, dtype=np.float32)[:, None]
    assert load(X, y, labeled=0.3).hash == split(pool(X, y), simulation=simulation(labeled=0.3)).hash
