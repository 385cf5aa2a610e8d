"""Who is held out and who stands in which fold: stratified, whole groups, and no class leaves training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from tests.cases import cases

from longtail.data import Examples
from longtail.data.pool import Pool
from longtail.data.split.folds import Folds
from longtail.data.split.holdout import split
from longtail.data.split.limits import held_out_size
from longtail.data.splits import held_out, validation_limits


def pool(y: Any, **more: Any) -> Pool:
    """Rows that carry their own number as their only feature."""
    targets = torch.as_tensor(np.asarray(y))
    classes = tuple(f"c{j}" for j in range(int(targets.max()) + 1))
    rows = Examples(torch.arange(len(targets)).float()[:, None], targets, classes)
    return Pool("toy", rows, targets, classes, **more)


def rows_of(part: Any) -> list[int]:
    return [int(x) for x in part.inputs[:, 0].tolist()]


def grouped_cases() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Long-tailed labels in groups of all sizes; some groups are of one class, some mixed."""
    for seed in range(12):
        generator = np.random.default_rng(seed)
        y = np.repeat(np.arange(5), [200, 80, 30, 6, 2])
        groups = generator.integers(0, 60, len(y)) if seed % 2 else generator.geometric(0.05, len(y)) + 100 * y
        yield y, groups


def straddling(groups: np.ndarray, part: np.ndarray) -> int:
    return sum(len(set(part[groups == g].tolist())) > 1 for g in np.unique(groups))


class TestHeldOut:
    def test_groups_never_straddle_and_no_class_leaves_training(self) -> None:
        for y, groups in grouped_cases():
            for share in (0.1, 0.25, 0.5, 0.8):
                stay, held = held_out(torch.tensor(y), share, groups=groups)
                assert sorted([*stay.tolist(), *held.tolist()]) == list(range(len(y)))
                assert not set(groups[stay]) & set(groups[held])
                assert set(y[stay]) == set(y)

    def test_every_class_with_two_groups_to_spare_is_tested(self) -> None:
        for y, groups in grouped_cases():
            tested = set(y[held_out(torch.tensor(y), 0.25, groups=groups)[1]])
            assert {0, 1, 2} <= tested

    def test_shares_are_near_what_was_asked(self) -> None:
        for y, groups in grouped_cases():
            if len(np.unique(groups)) < 50:
                continue
            held = held_out(torch.tensor(y), 0.25, groups=groups)[1]
            counts = np.bincount(y[held], minlength=5)
            assert abs(counts[0] / 200 - 0.25) < 0.06
            assert abs(counts[1] / 80 - 0.25) < 0.1

    def test_groups_of_one_row_hold_out_as_many_as_without_groups(self) -> None:
        y = np.repeat(np.arange(5), [200, 80, 31, 7, 1])
        plain, grouped = (held_out(torch.tensor(y), 0.3, groups=g)[1] for g in (None, np.arange(len(y)) * 7))
        assert np.bincount(y[grouped], minlength=5).tolist() == np.bincount(y[plain], minlength=5).tolist()

    def test_a_class_in_one_group_stays_in_training(self) -> None:
        y = np.array([0] * 20 + [1] * 6)
        groups = np.array([*range(20), *[99] * 6])
        held = held_out(torch.tensor(y), 0.25, groups=groups)[1]
        assert set(y[held]) == {0}

    def test_the_same_seed_holds_out_the_same_and_another_seed_others(self) -> None:
        y, groups = next(grouped_cases())
        first, again, other = (held_out(torch.tensor(y), 0.25, s, groups)[1].tolist() for s in (0, 0, 1))
        assert first == again != other


class TestFolds:
    @pytest.mark.parametrize("k", [2, 3, 5, 10])
    def test_every_row_is_tested_once_but_singletons_which_are_always_trained_on(self, k: int) -> None:
        y = np.repeat(np.arange(6), [57, 23, 11, 3, 2, 1])
        folds = Folds(pool(y), k)
        for seed in range(3):
            partition = folds.partition(seed)
            assert (partition == -1).tolist() == (y == 5).tolist()
            assert set(partition[y < 5]) == set(range(k))
            for fold in range(k):
                assert set(y[partition != fold]) == set(range(6))
            table = np.stack([np.bincount(partition[(y == j)], minlength=k) for j in range(5)])
            assert (table.max(1) - table.min(1) <= 1).all()
            assert table.sum(0).max() - table.sum(0).min() <= 1

    def test_splits_are_the_partition(self) -> None:
        y = np.repeat(np.arange(3), [20, 8, 1])
        folds = Folds(pool(y), 4)
        seen: list[int] = []
        for fold in range(4):
            parts = folds.splits(1, fold)
            assert sorted(rows_of(parts.train) + rows_of(parts.test)) == list(range(29))
            assert rows_of(parts.test) == np.flatnonzero(folds.partition(1) == fold).tolist()
            seen += rows_of(parts.test)
        assert sorted(seen) == list(range(28))

    def test_every_repetition_draws_its_own_partition_and_the_same_one_again(self) -> None:
        y = np.repeat(np.arange(3), [20, 8, 4])
        first, second = Folds(pool(y), 4), Folds(pool(y), 4)
        assert (first.partition(3) == second.partition(3)).all()
        assert (first.partition(0) != first.partition(1)).any()

    @pytest.mark.parametrize("k", [2, 3, 5])
    def test_groups_never_straddle_and_no_class_leaves_training(self, k: int) -> None:
        for y, groups in grouped_cases():
            folds = Folds(pool(y, groups=groups), k)
            tested = folds.tested.tolist()
            for seed in range(3):
                partition = folds.partition(seed)
                assert straddling(groups, partition) == 0
                assert np.flatnonzero(partition != -1).tolist() == tested
                for fold in range(k):
                    assert set(y[partition != fold]) == set(y)
                    assert (partition == fold).any()

    def test_grouped_folds_are_stratified(self) -> None:
        generator = np.random.default_rng(0)
        y = np.repeat(np.arange(3), [600, 200, 60])
        groups = generator.integers(0, 200, len(y))
        partition = Folds(pool(y, groups=groups), 5).partition(0)
        table = np.stack([np.bincount(partition[y == j], minlength=5) for j in range(3)])
        assert (np.abs(table / table.sum(1, keepdims=True) - 0.2) < 0.06).all()

    def test_groups_that_cannot_be_placed_stay_in_training(self) -> None:
        # each two of three groups hold a class between them: two folds always leave one class out of training
        y, groups = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
        folds = Folds(pool(y, groups=groups), 2)
        for seed in range(5):
            partition = folds.partition(seed)
            assert straddling(groups, partition) == 0
            assert sorted(set(partition.tolist())) == [-1, 0, 1]
            assert (partition == -1).tolist() == (folds.partition(0) == -1).tolist()
            for fold in range(2):
                assert set(y[partition != fold]) == {0, 1, 2}
        assert any("2 examples are trained on in every fold" in note for note in folds.notes)

    def test_what_is_never_tested_is_said(self) -> None:
        notes = " ".join(Folds(pool(np.repeat(np.arange(3), [9, 4, 1])), 3).notes)
        assert "3-fold cross-validation: each of 13 examples is tested once" in notes
        assert "1 example is trained on in every fold and never tested" in notes
        assert "1 of 3 classes cannot be measured: c2" in notes

    def test_validation_rows_are_withheld_inside_the_training_part(self) -> None:
        y = np.repeat(np.arange(3), [40, 16, 8])
        parts = Folds(pool(y, groups=np.arange(64) // 2), 4, val=0.25).splits(0, 2)
        train, val, test = (set(rows_of(p)) for p in (parts.train, parts.val, parts.test))
        assert len(val) > 6
        assert train | val | test == set(range(64))
        for one, other in ((train, val), (train, test), (val, test)):
            assert not {r // 2 for r in one} & {r // 2 for r in other}

    @cases(
        ("k", "y", "more", "told"),
        [
            (1, [0, 0, 1, 1], {}, "folds must be an integer >= 2, got 1; 5 is usual"),
            (2.0, [0, 0, 1, 1], {}, "folds must be an integer >= 2, got 2.0"),
            (True, [0, 0, 1, 1], {}, "folds must be an integer >= 2, got True"),
            (5, [0, 0, 1, 1], {}, "folds must be at most the 4 examples that can be tested, got 5; take fewer"),
            (3, [0, 0, 1, 1], {"groups": np.array([0, 1, 0, 1])}, "at most the 2 groups that can be tested, got 3"),
            (2, [0, 0, 0], {}, "data must have at least two classes, got only 'c0'"),
            (
                2, [0, 0, 1, 1], {"parts": np.array(["train", "test"] * 2)},
                r"folds \(--folds\) need data without a split of their own, got test, train rows; leave out",
            ),
            (3, [0, 0, 1, 1], {"groups": np.zeros(4, int)}, r"groups that could be separated \(1 group in all\), so"),
            (2, [0, 0, 1, 1], {"groups": np.array([0, 0, 1, 1])}, r"\(2 groups in all\), so there is nothing"),
            (2, [0, 1, 2], {}, "no class has two examples, so there is nothing for folds; add examples"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_folded_is_one_line(self, k: Any, y: list[int], more: dict[str, Any], told: str) -> None:
        with pytest.raises(ValueError, match=told) as found:
            Folds(pool(y, **more), k)
        assert "\n" not in str(found.value)

    def test_the_hash_knows_rows_labels_groups_weights_and_k(self) -> None:
        y = np.repeat(np.arange(2), [8, 8])
        one = pool(y)
        cases = [
            Folds(one, 2), Folds(one, 3), Folds(one, 2, 0.2), Folds(pool(y, groups=np.arange(16) // 2), 2),
            Folds(pool(y, sample_weight=torch.ones(16)), 2), Folds(pool(y[::-1].copy()), 2),
        ]  # fmt: skip
        assert len({folds.hash for folds in cases}) == len(cases)
        assert Folds(pool(y), 2).hash == cases[0].hash

    def test_a_declared_split_of_training_rows_alone_is_none_and_noted(self) -> None:
        y = np.repeat(np.arange(2), [8, 4])
        undeclared, declared = Folds(pool(y), 3), Folds(pool(y, parts=np.full(12, "train")), 3)
        assert (declared.partition(0) == undeclared.partition(0)).all()
        assert declared.hash == undeclared.hash
        assert "the declared split has no test rows (train only)" in declared.notes
        drawn = split(pool(y, parts=np.full(12, "train")))
        assert drawn.hash == split(pool(y)).hash
        assert sum("so rows for testing were drawn from those for training" in note for note in drawn.notes) == 1


class TestLimits:
    def test_say_how_many_are_tested_and_the_widest_interval(self) -> None:
        limits = validation_limits([1000, 40, 5, 2, 1], 0.2)
        assert [row.tested for row in limits] == [200, 8, 1, 1, 0]
        for row in limits[:2]:
            whole = binomtest(row.tested // 2, row.tested).proportion_ci(method="wilson")
            assert (row.low, row.high) == pytest.approx((whole.low, whole.high), abs=1e-12)
            widths = []
            for hits in range(row.tested + 1):
                interval = binomtest(hits, row.tested).proportion_ci(method="wilson")
                widths.append(interval.high - interval.low)
            assert row.width == pytest.approx(max(widths), abs=1e-12)
        assert (limits[4].low, limits[4].high, limits[4].width) == (None, None, None)

    def test_are_what_holding_out_does(self) -> None:
        y = np.repeat(np.arange(6), [97, 40, 5, 3, 2, 1])
        for share in (0.1, 0.25, 0.6):
            held = held_out(torch.tensor(y), share)[1]
            assert [row.tested for row in validation_limits(np.bincount(y), share)] == np.bincount(
                y[held], minlength=6
            ).tolist()

    def test_cross_validation_tests_every_class_of_two(self) -> None:
        assert [row.tested for row in validation_limits([9, 2, 1], 1)] == [9, 2, 0]
        assert held_out_size(9, 0.99) == 8

    @pytest.mark.parametrize("share", [0, -0.1, 1.1])
    def test_a_share_outside_is_refused(self, share: float) -> None:
        with pytest.raises(ValueError, match=r"the share held out must be in \(0, 1\], got"):
            validation_limits([3, 4], share)


def test_groups_stay_together_in_test_and_validation_parts() -> None:
    for y, groups in grouped_cases():
        parts = split(pool(y, groups=groups), test=0.3, val=0.2)
        held = [set(groups[rows_of(p)]) for p in (parts.train, parts.val, parts.test)]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert not held[a] & held[b]
        assert (parts.class_counts > 0).all()
        assert any("whole groups of the" in note for note in parts.notes)
