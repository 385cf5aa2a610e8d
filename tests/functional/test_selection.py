"""Rows of the smallest losses, class by class, against a plain loop."""

from __future__ import annotations

import torch

from longtail.functional.selection import smallest_by_class


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
