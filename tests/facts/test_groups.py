"""Many, medium and few: the published rule, and what happens where it cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longtail.facts.groups import BY_COUNT, BY_RANK, NO_GROUPS, groups
from longtail.metrics import groups as from_metrics


def cifar100(ratio: int) -> list[int]:
    return [int(500 * (1 / ratio) ** (j / 99)) for j in range(100)]


@pytest.mark.parametrize(
    ("ratio", "sizes", "rule"),
    [
        (100, (35, 35, 30), BY_COUNT),
        (50, (41, 41, 18), BY_COUNT),
        (200, (30, 31, 39), BY_COUNT),
        (10, (34, 33, 33), BY_RANK),  # 69/31/0 by count: few would be empty
    ],
)
def test_cifar100_lt_groups_have_the_published_sizes(ratio: int, sizes: tuple[int, ...], rule: str) -> None:
    found = groups(cifar100(ratio))
    assert (len(found.many), len(found.medium), len(found.few)) == sizes
    assert found.rule == rule
    assert sorted(found.many + found.medium + found.few) == list(range(100))


def test_100_and_20_are_medium() -> None:
    assert groups([101, 100, 20, 19]).medium == (1, 2)


def test_thirds_go_by_rank_with_ties_by_index_and_the_remainder_to_many() -> None:
    found = groups([5, 9, 5, 7, 5])
    assert found == ((0, 1, 3), (2,), (4,), BY_RANK)


@pytest.mark.parametrize("counts", [[1000], [1000, 3]])
def test_below_three_classes_there_are_no_groups(counts: list[int]) -> None:
    assert groups(counts) == ((), (), (), NO_GROUPS)


def test_tensors_arrays_and_lists_are_one() -> None:
    counts = [300, 50, 2]
    assert groups(counts) == groups(np.array(counts)) == groups(torch.tensor(counts, dtype=torch.float64))
    assert from_metrics is groups


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ([], r"class_counts must be one-dimensional with one count per class, got shape \(0,\); use"),
        ([[1, 2]], r"class_counts must be one-dimensional .* got shape \(1, 2\)"),
        ([5, -1, 3], r"class_counts must be finite and >= 0, got -1; use"),
        ([5.0, float("nan"), 3.0], r"class_counts must be finite and >= 0, got nan; use"),
    ],
)
def test_bad_counts_are_named(counts: list[float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        groups(counts)
