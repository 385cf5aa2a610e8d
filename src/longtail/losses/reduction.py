"""From per-example losses to one number: sums, and what they are divided by."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from longtail.facts.knobs import Choice

Reduction = Annotated[str, Choice(("mean", "sum", "none"))]
Normalize = Annotated[str | float | Tensor, Choice(("weights", "batch"), others=(int, float, Tensor))]


def check_normalize(normalize: Any) -> None:
    """Check that `normalize` is "weights", "batch" or a number > 0 (of a tensor only the shape)."""
    if isinstance(normalize, str):
        good = normalize in ("weights", "batch")
    elif isinstance(normalize, Tensor):
        good = normalize.ndim == 0
    else:
        good = isinstance(normalize, int | float) and not isinstance(normalize, bool) and normalize > 0
    if not good:
        raise ValueError(
            f'normalize must be "weights", "batch" or a number > 0, got {normalize!r}; '
            '"batch" divides by the number of positions that count'
        )


def reduce(
    losses: Tensor, weights: Tensor | None, kept: Tensor, reduction: str, normalize: str | float | Tensor
) -> Tensor:
    """Reduce losses l, which already carry their weights omega.

    "none": l; "sum": sum(l); "mean": sum(l) divided by sum(omega) ("weights"), by the number of kept
    positions, one of sample weight k being k ("batch"), or by a given number. Where nothing counts the result is 0,
    with its graph.

    Args:
        losses: l (N, d1..dk), 0 where not kept.
        weights: omega of the same shape, 0 where not kept; None for ones.
        kept: the positions that count, bool, or their sample weights, 0 where they do not count.
        reduction: "mean", "sum" or "none".
        normalize: "weights", "batch" or a number > 0.
    """
    if reduction == "none":
        return losses
    total = losses.sum()
    if reduction == "sum":
        return total
    if not isinstance(normalize, str):
        return total / normalize
    if normalize == "weights" and weights is not None:
        divisor = weights.sum()
        return total / torch.where(divisor > 0, divisor, 1.0)
    divisor = kept.sum()
    if kept.dtype == torch.bool:
        return total / divisor.clamp(min=1)
    return total / torch.where(divisor > 0, divisor, 1.0)
