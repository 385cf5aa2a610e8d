"""Rows of the smallest losses, class by class, against a plain loop."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from longtail.functional.selection import forget_rate, smallest_by_class, smallest_share


def test_is_the_smallest_losses_of_every_label() -> None:
    generator = torch.Generator().manual_seed(0)
    losses = (10 * torch.rand(60, generator=generator)).round()  # with ties
    labels = torch.randint(5, (60,), generator=generator)
    labels[labels == 3] = 2
    most = torch.tensor([4.0, 0.0, 100.0, 5.0, 1.0])
    chosen = smallest_by_class(losses, labels, most)
    for j in range(5):
        rows = sorted((float(losses[i]), i) for i in range(60) if labels[i] == j)
        expected = {i for _, i in rows[: int(most[j])]}
        assert {i for i in range(60) if labels[i] == j and chosen[i]} == expected


def by_loop(losses: list[float], share: list[float], labels: list[int] | None, kept: list[bool]) -> set[int]:
    """Rows of the smallest losses, one at least; of each label by itself, then rounded up."""
    groups = [0] * len(losses) if labels is None else labels
    found: set[int] = set()
    for j in set(groups):
        rows = sorted((i for i in range(len(losses)) if kept[i] and groups[i] == j), key=lambda i: (losses[i], i))
        exact = Fraction(str(share[j])) * len(rows)
        number = max(1, math.floor(exact) if labels is None else math.ceil(exact))
        found |= set(rows[:number])
    return found


@pytest.mark.parametrize("share", [1.0, 0.8, 0.29, 0.1, 0.001])
@pytest.mark.parametrize("by_label", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_is_the_share_of_the_smallest(share: float, by_label: bool, masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (1, 2, 7, 10, 100):
        losses = (10 * torch.rand(n, generator=generator)).round()  # with ties
        labels = torch.randint(4, (n,), generator=generator) if by_label else None
        kept = torch.rand(n, generator=generator) < 0.6 if masked else None
        given = labels if labels is None or kept is None else torch.where(kept, labels, -100)
        for number in (share, torch.tensor(share, dtype=torch.float64)):
            chosen = smallest_share(losses, number, labels=given, kept=kept)
            everyone = [True] * n if kept is None else kept.tolist()
            own = None if labels is None else labels.tolist()
            assert set(chosen.nonzero().flatten().tolist()) == by_loop(losses.tolist(), [share] * 4, own, everyone)


def test_a_share_of_each_label() -> None:
    generator = torch.Generator().manual_seed(0)
    losses, labels = torch.rand(60, generator=generator), torch.arange(60) % 3
    shares = [0.5, 0.05, 1.0]
    chosen = smallest_share(losses, torch.tensor(shares), labels=labels)
    assert set(chosen.nonzero().flatten().tolist()) == by_loop(losses.tolist(), shares, labels.tolist(), [True] * 60)
    assert chosen.reshape(20, 3).sum(0).tolist() == [10, 1, 20]


def test_no_label_of_a_batch_is_left_out_whatever_its_losses() -> None:
    labels = torch.tensor([0] * 120 + [1] * 7 + [2])
    losses = torch.cat([torch.rand(120), 50 + torch.rand(8)])
    assert smallest_share(losses, 0.5).sum() == 64
    assert not bool(smallest_share(losses, 0.5)[120:].any())  # the tail is gone
    chosen = smallest_share(losses, 0.5, labels=labels)
    assert [int(chosen[labels == j].sum()) for j in range(3)] == [60, 4, 1]


def test_nan_is_large_and_what_does_not_count_is_never_selected() -> None:
    losses = torch.tensor([float("nan"), 3.0, 1.0, 2.0])
    assert smallest_share(losses, 0.75).tolist() == [False, True, True, True]
    nothing = torch.zeros(4, dtype=torch.bool)
    assert not bool(smallest_share(losses, 0.5, kept=nothing).any())
    assert not bool(smallest_share(losses, 0.5, kept=nothing, labels=torch.tensor([0, 0, 1, 1])).any())


@pytest.mark.parametrize(("rate", "exponent", "ramp"), [(0.2, 1.0, 10), (0.45, 2.0, 10), (0.5, 0.5, 1), (0.3, 1.0, 0)])
def test_the_rate_is_that_of_the_code(rate: float, exponent: float, ramp: int) -> None:
    expected = np.full(200, rate)
    expected[:ramp] = np.linspace(0, rate**exponent, ramp)
    ours = [forget_rate(epoch, rate, ramp, exponent=exponent) for epoch in range(200)]
    assert ours == pytest.approx(expected.tolist(), rel=1e-12)
    traced = [float(forget_rate(torch.tensor(float(e)), rate, ramp, exponent=exponent)) for e in range(200)]
    assert traced == pytest.approx(ours, rel=1e-6)
