"""Batches of several parts: each row once an epoch, in a batch of its own part, whatever the other parts are."""

from __future__ import annotations

from typing import Any

import torch

from longtail.data import Examples
from longtail.data.divided import Divided


def part(first: int, rows: int, size: int = 4) -> Examples:
    """Rows whose inputs are their numbers in all."""
    inputs = torch.arange(first, first + rows).float()[:, None]
    return Examples(inputs, torch.arange(rows) % 2, ("a", "b")).drawn(size)


PARTS = (part(0, 10), part(10, 3), part(13, 4))
DATA = Divided(PARTS)


def epoch(data: Divided, seed: int = 0) -> list[Any]:
    return list(data.batches(0.0, torch.Generator().manual_seed(seed)))


def test_an_epoch_shows_every_row_once_in_a_batch_of_its_part() -> None:
    seen = []
    for batch in epoch(DATA):
        ((k, own),) = batch["experts"].items()
        assert own["inputs"].equal(PARTS[k].inputs[own["index"]])
        assert batch["inputs"].equal(own["inputs"])
        seen += batch["inputs"].flatten().tolist()
    assert sorted(seen) == list(range(17))
    assert (len(DATA), DATA.steps(), DATA.class_counts.tolist()) == (17, 5, [9, 8])
    assert DATA.eager == ""


def test_parts_take_turns_in_random_order_and_repeat_by_the_seed() -> None:
    orders = [[next(iter(batch["experts"])) for batch in epoch(DATA, seed)] for seed in range(12)]
    assert len({tuple(order) for order in orders}) > 3
    assert all(sorted(order) == [0, 0, 0, 1, 2] for order in orders)
    for one, other in zip(epoch(DATA), epoch(DATA), strict=True):
        assert one["inputs"].equal(other["inputs"])


def test_a_part_is_drawn_as_with_any_other_parts() -> None:
    def own(data: Divided) -> list[Any]:
        return [batch["inputs"].tolist() for batch in epoch(data) if 0 in batch["experts"]]

    assert own(DATA) == own(Divided((PARTS[0], part(50, 9)))) == own(Divided(PARTS[:1]))


def test_steps_may_be_more_or_fewer_than_one_pass() -> None:
    for count in (2, 5, 12):
        data = Divided(PARTS, count)
        batches = epoch(data)
        assert len(batches) == data.steps() == count
    seen = [row for batch in batches[:10] for row in batch["inputs"].flatten().tolist()]
    assert sorted(seen) == sorted([*range(17), *range(17)])  # small parts as often as large ones
    first, second = (
        [row for batch in batches[k : k + 5] for row in batch["inputs"].flatten().tolist()] for k in (0, 5)
    )
    assert first != second
