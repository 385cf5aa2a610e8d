"""Two halves of the rows, class by class: one to train on, the other to measure on."""

from __future__ import annotations

import torch
from torch import Tensor

SEED = 0
"""The halves are fixed by it, as held-out parts are; the seeds of a comparison never move them."""


def stratified_halves(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows of two halves, each ascending: of a class of n rows the first gets one more if n is odd.

    A class of one row is in the first half alone. The choice is random and always the same.

    Args:
        labels: (N,) int64.
    """
    labels = labels.cpu()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
    order = order[labels[order].argsort(stable=True)]
    by_class = labels[order]
    place = torch.arange(len(labels)) - torch.searchsorted(by_class, by_class)
    return order[place % 2 == 0].sort().values, order[place % 2 == 1].sort().values
