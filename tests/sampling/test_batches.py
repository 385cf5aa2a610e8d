"""Progressive, class-aware and under-sampling, and batches that are never without a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tests.cases import cases
from torch import Tensor

from longtail import sampling

COUNTS = [600, 0, 120, 25, 4, 1]  # class 1 has no examples
LABELS = torch.from_numpy(np.repeat(np.arange(6), COUNTS)[np.random.default_rng(0).permutation(750)])
N = torch.tensor(COUNTS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def often(rows: Tensor) -> list[int]:
    return torch.bincount(LABELS[rows], minlength=6).tolist()


@cases("p", [0.0, 0.3, 0.9])
def test_progressive_moves_from_the_data_to_equal_shares(p: float) -> None:
    sampler = sampling.ProgressiveSampler(LABELS, num_samples=100_000)
    expected = [(1 - p) * n / 750 + p / 5 if n else 0.0 for n in COUNTS]
    assert sampler.class_probabilities(p).tolist() == pytest.approx(expected)
    drawn = often(sampler.draw(p, generator()))
    assert drawn[1] == 0
    present = [j for j in range(6) if COUNTS[j]]
    assert chisquare([drawn[j] for j in present], [100_000 * expected[j] for j in present]).pvalue > 1e-3


def test_progressive_needs_progress() -> None:
    with pytest.raises(TypeError, match="ProgressiveSampler needs progress; call set_epoch"):
        list(sampling.ProgressiveSampler(LABELS))


@cases("k", [1, 4, 7])
def test_class_aware_visits_every_class_before_one_comes_again(k: int) -> None:
    rows = sampling.ClassAwareSampler(LABELS, per_class=k).draw(0.0, generator())
    assert len(rows) == 750
    visits = LABELS[rows][: 750 // k * k].reshape(-1, k)
    assert (visits == visits[:, :1]).all()
    for start in range(0, len(visits) - 4, 5):
        assert sorted(visits[start : start + 5, 0].tolist()) == [0, 2, 3, 4, 5]
    orders = {tuple(visits[start : start + 5, 0].tolist()) for start in range(0, len(visits) - 4, 5)}
    assert len(orders) > 5
    for j, n in enumerate(COUNTS):
        of_class = rows[LABELS[rows] == j].tolist()
        for start in range(0, len(of_class), max(n, 1)):  # no row again before all of the class were drawn
            part = of_class[start : start + max(n, 1)]
            assert len(set(part)) == len(part)


def test_under_sampling_has_a_fresh_balanced_subset_every_epoch() -> None:
    sampler = sampling.UnderSampler(LABELS, ratio=5.9)
    assert len(sampler) == 5 + 5 + 5 + 4 + 1
    first, second = sampler.draw(0.0, generator(0)), sampler.draw(0.0, generator(1))
    for rows in (first, second):
        assert often(rows) == [5, 0, 5, 5, 4, 1]
        assert len(set(rows.tolist())) == 20
    assert set(first.tolist()) != set(second.tolist())
    longer = sampling.UnderSampler(LABELS, ratio=5.9, num_samples=50).draw(0.0, generator(0))
    assert torch.equal(longer[:20], first)
    assert often(longer[20:40]) == [5, 0, 5, 5, 4, 1]


class TestEveryBatch:
    """What a batch lacks is exchanged for what it can spare; all else is the sampler's own draw."""

    def test_every_batch_has_every_class(self) -> None:
        after = sampling.Shuffle(750)
        sampler = sampling.EveryBatch(after, LABELS, batch_size=50, at_least=2)
        rows = sampler.draw(0.0, generator())
        plain = after.draw(0.0, generator())
        for batch, before in zip(rows.split(50), plain.split(50), strict=True):
            assert all(count >= 2 for count, n in zip(often(batch), COUNTS, strict=True) if n)
            lacking = sum(max(0, 2 - count) for count, n in zip(often(before), COUNTS, strict=True) if n)
            assert int((batch != before).sum()) <= lacking

    def test_every_batch_has_rare_rows(self) -> None:
        rare = torch.tensor([n * 5 < 750 for n in COUNTS])
        sampler = sampling.EveryBatch(sampling.Shuffle(750), LABELS, batch_size=8, at_least=3, of="rare")
        for batch in sampler.draw(0.0, generator()).split(8):
            assert int(rare[LABELS[batch]].sum()) >= 3

    def test_a_batch_that_lacks_nothing_is_the_samplers_own(self) -> None:
        after = sampling.ClassAwareSampler(LABELS, per_class=1)
        sampler = sampling.EveryBatch(after, LABELS, batch_size=25)
        assert torch.equal(sampler.draw(0.0, generator(3)), after.draw(0.0, generator(3)))

    def test_the_exchange_is_uniform_among_the_rows_of_a_class_and_the_places_of_a_batch(self) -> None:
        labels = torch.tensor([0] * 90 + [1] * 4)
        sampler = sampling.EveryBatch(sampling.Shuffle(94), labels, batch_size=2)
        rows = torch.cat([sampler.draw(0.0, generator(seed)) for seed in range(200)])
        pairs = labels[rows].reshape(-1, 2)
        assert (pairs.sum(1) == 1).all()
        within = torch.bincount(rows[labels[rows] == 1] - 90, minlength=4)
        assert chisquare(within.tolist()).pvalue > 1e-3
        assert chisquare(pairs.sum(0).tolist()).pvalue > 1e-3

    def test_a_last_batch_without_room_is_left_out(self) -> None:
        make: Callable[..., Any] = lambda size: sampling.EveryBatch(sampling.Shuffle(750), LABELS, batch_size=size)  # noqa: E731
        assert (len(make(373)), len(make(149)), len(make(50))) == (746, 750, 750)
        assert all(len(batch) == 373 for batch in make(373).draw(0.0, generator()).split(373))

    @cases(
        ("arguments", "message"),
        [
            ({"batch_size": 4}, "batch_size must be at least 5 for batches with 1 rows of each of 5 classes, got 4"),
            ({"batch_size": 9, "at_least": 2}, r"must be at least 10 .*take larger batches or a smaller at_least"),
            ({"batch_size": 4, "at_least": 5, "of": "rare"}, "at least 5 for batches with 5 rare rows, got 4"),
            ({"batch_size": 50, "at_least": 0}, "at_least must be an integer >= 1, got 0"),
            ({"batch_size": 50, "of": "all"}, 'of must be "each" or "rare", got \'all\''),
        ],
    )
    def test_what_cannot_be_guaranteed_is_refused(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            sampling.EveryBatch(sampling.Shuffle(750), LABELS, **arguments)


@cases(
    ("make", "message"),
    [
        (lambda: sampling.ClassAwareSampler([0, 1], per_class=0), "per_class must be an integer >= 1, got 0"),
        (lambda: sampling.UnderSampler([0, 1], ratio=0.5), "ratio must be >= 1, got 0.5"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
