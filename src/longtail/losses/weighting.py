"""The weight of every position: class weight at this progress, times sample weight."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional import across, is_soft


def class_weight_now(weight: Tensor | None, r: float | Tensor, outside: Tensor | None, like: Tensor) -> Tensor | None:
    """w_j(p) = 1 + r(p) (w_j - 1), 0 for classes that are outside; (C,), or None where all are one.

    Written (1 - r) + r w, which is exact at both ends.
    """
    if weight is not None:
        if isinstance(r, Tensor) or 0 < r < 1:
            weight = (1 - r) + r * weight
        elif r == 0:
            weight = None
    if outside is None:
        return weight
    inside = (~outside).to(like.device, like.dtype)
    return inside if weight is None else inside * weight


def class_weight_of(targets: Tensor, weight: Tensor, ignore_index: int) -> Tensor:
    """The class weight of every position: w_y, 0 where ignored, or sum_k q_k w_k; (N, d1..dk)."""
    if is_soft(targets):
        return (targets * across(weight, targets)).sum(1)
    ignored = targets == ignore_index
    return torch.where(ignored, 0.0, weight[torch.where(ignored, 0, targets)])


def sample_weight_of(weight: Tensor, kept: Tensor, dtype: torch.dtype) -> Tensor:
    """Sample weights (N,) or (N, d1..dk) at every position (N, d1..dk), 0 where not kept."""
    weight = weight.to(kept.device, dtype)
    if weight.ndim < kept.ndim:
        weight = weight.reshape(-1, *[1] * (kept.ndim - 1))
    return torch.where(kept, weight, 0.0)
