"""CReST's rates and choice against a loop over classes and rows."""

from __future__ import annotations

import math

import pytest
import torch
from tests.cases import cases

from longtail.sampling.self_training import most_confident, rebalancing_rates


def rates_by_rank(counts: list[float], root: float) -> list[float]:
    ranked = sorted(range(len(counts)), key=lambda k: (-counts[k], k))
    smallest = min(n for n in counts if n > 0)
    counts = [max(n, smallest) for n in counts]
    rates = [0.0] * len(counts)
    for place, k in enumerate(ranked):
        rates[k] = (counts[ranked[len(counts) - 1 - place]] / counts[ranked[0]]) ** (1 / root)
    return rates


@cases("counts", [[100, 40, 10], [10, 100, 40], [5, 5, 5], [7, 7, 3, 3], [2.5, 0.5, 8.0], [9, 0, 3]])
@pytest.mark.parametrize("root", [1.0, 3.0, math.inf])
def test_rates_by_rank(counts: list[float], root: float) -> None:
    rates = rebalancing_rates(torch.tensor(counts), root)
    assert rates.tolist() == pytest.approx(rates_by_rank(counts, root), rel=1e-12)
    assert rates[torch.tensor(counts).argmin()] == 1 or len(set(counts)) < len(counts)


def test_the_smallest_class_keeps_all_and_the_largest_the_root_of_the_ratio() -> None:
    rates = rebalancing_rates(torch.tensor([3, 300, 30]), 3.0)
    assert rates.tolist() == pytest.approx([1.0, 0.01 ** (1 / 3), 0.1 ** (1 / 3)])


def test_classes_in_another_order_have_their_own_rates() -> None:
    """The released code takes the index of a class for its rank."""
    counts, order = torch.tensor([80, 5, 20, 41]), torch.tensor([2, 0, 3, 1])
    assert rebalancing_rates(counts, 3.0)[order].equal(rebalancing_rates(counts[order], 3.0))


@cases("seed", [0, 1, 2])
def test_the_most_confident_of_each_class(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(5, (500,), generator=generator)
    labels[labels == 3] = 2  # a class without predictions
    confidence = (torch.rand(500, generator=generator) * 40).round() / 40  # with equal ones
    rates = torch.tensor([1.0, 0.5, 0.0, 0.7, 0.123], dtype=torch.float64)
    kept: list[int] = []
    for k, rate in enumerate(rates.tolist()):
        mine = [i for i, label in enumerate(labels.tolist()) if label == k]
        mine.sort(key=lambda i: (-confidence[i].item(), i))
        kept += mine[: math.floor(rate * len(mine) + 1e-9)]
    assert most_confident(labels, confidence, rates).tolist() == sorted(kept)


def test_a_whole_number_of_rows_is_not_lost_to_rounding() -> None:
    labels, confidence = torch.zeros(10, dtype=torch.int64), torch.arange(10.0)
    rate = (0.3**3) ** (1 / 3)  # 0.3, or its neighbour below
    assert most_confident(labels, confidence, torch.tensor([math.nextafter(rate, 0)])).tolist() == [7, 8, 9]
    assert len(most_confident(labels[:0], confidence[:0], torch.ones(3))) == 0
