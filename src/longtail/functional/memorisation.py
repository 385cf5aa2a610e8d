"""How well each row is learnt compared with the others, from its losses."""

from __future__ import annotations

import torch
from torch import Tensor


def memorisation_scores(losses: Tensor, known: Tensor | None = None) -> Tensor:
    """Return M_i = ((m_i - mean m) / max_j |m_j - mean m| + 1) / 2 in [0, 1]: large where a row is learnt badly.

    The mean is 1/2; the row that is farthest from it has 0 or 1. Where all losses are equal, as that of a single row
    is, there is nothing to tell apart, and the scores are 0 (the formula has 0 / 0).

    Args:
        losses: m (N,), any floating dtype.
        known: (N,) bool, rows that have a loss; the others do not count, and their score is 0. None for all.

    Returns:
        (N,) of the same dtype.

    Zhou et al. 2022, "Contrastive learning with boosted memorization". Their code divides by the standard deviation
    first, which cancels.
    """
    if not len(losses):
        return losses.clone()
    known = torch.ones_like(losses, dtype=torch.bool) if known is None else known
    mean = torch.where(known, losses, 0).sum() / known.sum()
    away = torch.where(known, losses - mean, 0)
    largest = away.abs().amax()
    low, high = torch.where(known, losses, torch.inf).amin(), torch.where(known, losses, -torch.inf).amax()
    different = known & (high > low) & (largest > 0)  # a mean of equal numbers may be rounded to another
    return torch.where(different, 0.5 * (away / torch.where(largest > 0, largest, 1) + 1), 0)
