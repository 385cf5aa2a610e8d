"""Which rows of a batch are selected by their losses: of the batch as a whole, or class by class."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import widest_float

ROUNDING = 1e-4
"""Of a product of a share and a number of rows: 0.29 * 100 is below 29."""


def smallest_by_class(losses: Tensor, labels: Tensor, most: Tensor) -> Tensor:
    """Return which rows have one of the `most[j]` smallest losses among the rows of label j, bool (N,).

    Of equal losses the earlier row counts as smaller.

    Args:
        losses: (N,).
        labels: (N,) int64 in [0, C).
        most: (C,) rows of each class.
    """
    return _places(losses, labels)[0] < most[labels]


def smallest_share(
    losses: Tensor, share: float | Tensor, *, labels: Tensor | None = None, kept: Tensor | None = None
) -> Tensor:
    """Return which rows have the smallest losses, bool (N,): max(1, floor(share n)) of n rows.

    With labels: max(1, ceil(share n_j)) of the n_j rows of each label j, so that no label is left out. Of equal losses
    the earlier row counts as smaller, and a NaN counts as large. Co-teaching trains each of two networks on the rows
    that this selects by the losses of the other.

    Args:
        losses: (N,).
        share: in (0, 1], a number or 0-dim; with labels also one of each class, (C,).
        labels: (N,) int64 in [0, C); what they are where `kept` is False does not matter.
        kept: bool (N,), the rows that count; None for all. The others are not selected.

    Han et al. 2018, "Co-teaching: robust training of deep neural networks with extremely noisy labels" (NeurIPS),
    algorithm 1; with labels it is ours.
    """
    wide = widest_float(losses.device)
    x = losses if kept is None else torch.where(kept, losses, torch.inf)
    if labels is None:
        n = torch.ones_like(x, dtype=wide).sum() if kept is None else kept.sum().to(wide)
        place = x.argsort(stable=True).argsort(stable=True)
        chosen = place < (share * n + ROUNDING).floor().clamp(min=1.0)
    else:
        place, n_j = _places(x, labels if kept is None else torch.where(kept, labels, -1))
        if isinstance(share, Tensor) and share.ndim:
            share = share[labels if kept is None else torch.where(kept, labels, 0)]
        chosen = place < (share * n_j.to(wide) - ROUNDING).ceil().clamp(min=1.0)
    return chosen if kept is None else chosen & kept


def forget_rate(epoch: float | Tensor, rate: float, ramp: int, *, exponent: float = 1.0) -> float | Tensor:
    """Return the share of a batch that is left out in an epoch: it rises linearly over the first ones, then stays.

    R(e) = rate^exponent e / (ramp - 1) in the epochs e = 0, ..., ramp - 1, then rate

    Args:
        epoch: e, finished epochs; a number or 0-dim.
        rate: in [0, 1), the share of wrong labels.
        ramp: T_k >= 0; in the one epoch of ramp = 1 it is 0.
        exponent: c > 0. Where it is not 1, R jumps after the ramp.

    Han et al. 2018: T_k = 10 of 200 epochs, c = 1.
    """
    slope = rate**exponent / max(ramp - 1, 1)
    if isinstance(epoch, Tensor):
        return torch.where(epoch < ramp, slope * epoch, rate)
    return slope * epoch if epoch < ramp else rate


def _places(losses: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's place among those of its label, the smallest loss at 0, and how many these are, both (N,)."""
    order = losses.argsort(stable=True)
    order = order[labels[order].argsort(stable=True)]
    ordered = labels[order]
    first, end = torch.searchsorted(ordered, ordered), torch.searchsorted(ordered, ordered, right=True)
    place = torch.arange(len(labels), device=labels.device) - first
    back = torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=order.device))
    return place[back], (end - first)[back]
