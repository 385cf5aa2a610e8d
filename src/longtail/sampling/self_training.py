"""Which predicted labels of rows without labels self-training adopts: many of rare classes, few of frequent ones."""

from __future__ import annotations

import torch
from torch import Tensor


def rebalancing_rates(counts: Tensor, root: float) -> Tensor:
    """Return the share (C,) float64 of its predictions that each class keeps: (n_(C+1-l) / n_(1))^(1/root).

    l is the rank of the class by count, n_(1) the largest count: the smallest class keeps all, the largest
    (n_min / n_max)^(1/root). Of equal counts the class of smaller index has the higher rank.

    Args:
        counts: n (C,), not all 0; a class without rows keeps all, and the largest class what it would without it.
        root: > 0; inf keeps all.
    """
    ordered, classes = counts.double().cpu().sort(descending=True, stable=True)
    ordered = ordered.clamp(min=ordered[ordered > 0].min())
    rates = torch.empty_like(ordered)
    rates[classes] = (ordered.flip(0) / ordered[0]) ** (1 / root)
    return rates


def most_confident(labels: Tensor, confidence: Tensor, rates: Tensor) -> Tensor:
    """Return the rows (M,) int64, ascending, that are among the floor(m_k rates_k) most confident of their class.

    m_k is the number of rows of label k. Of equally confident rows the earlier one comes first.

    Args:
        labels: (N,) int64, predicted.
        confidence: (N,).
        rates: (C,) in [0, 1].
    """
    order = confidence.argsort(descending=True, stable=True)
    order = order[labels[order].argsort(stable=True)]  # by class, then by confidence
    sizes = torch.bincount(labels, minlength=len(rates))
    kept = (sizes * rates + 1e-9).floor().long()  # a whole number stays one
    place = torch.arange(len(labels)) - (sizes.cumsum(0) - sizes)[labels[order]]
    return order[place < kept[labels[order]]].sort().values
