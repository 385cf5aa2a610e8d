"""Which rows of a batch are selected, class by class."""

from __future__ import annotations

import torch
from torch import Tensor


def smallest_by_class(losses: Tensor, labels: Tensor, most: Tensor) -> Tensor:
    """Return which rows have one of the `most[j]` smallest losses among the rows of label j, bool (N,).

    Of equal losses the earlier row counts as smaller.

    Args:
        losses: (N,).
        labels: (N,) int64 in [0, C).
        most: (C,) rows of each class.
    """
    order = losses.argsort(stable=True)
    order = order[labels[order].argsort(stable=True)]
    sorted_labels = labels[order]
    place = torch.arange(len(labels), device=labels.device) - torch.searchsorted(sorted_labels, sorted_labels)
    return torch.zeros_like(labels, dtype=torch.bool).scatter(0, order, place < most[sorted_labels])
