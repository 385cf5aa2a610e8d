"""What every per-example loss shares: two kinds of targets, a compute dtype, constants per class.

A loss is a function l(z, k) of the logits z and the true class k. Class indices pick one k; a
soft target q means the mixture sum_k q_k l(z, k). It is linear in q: a row of q that does not sum to one
is a weighted mixture, a row of zeros costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

IGNORE = -100
"""The class index that marks a position as ignored, torch's own."""

Value = float | Tensor
"""The value of a knob: a float, or a 0-dim tensor where progress is one."""


def widen(logits: Tensor) -> Tensor:
    """Return logits in the compute dtype: float64 stays, everything narrower becomes float32."""
    return logits if logits.dtype == torch.float64 else logits.float()


def is_soft(targets: Tensor) -> bool:
    """Whether targets are probabilities (N, C, d1..dk) rather than class indices (N, d1..dk)."""
    return targets.is_floating_point()


def across(constant: Tensor, logits: Tensor) -> Tensor:
    """Return a constant per class (C,) shaped to broadcast over logits (N, C, d1..dk): (C, 1..1)."""
    return constant.to(logits.device, logits.dtype).reshape(-1, *[1] * (logits.ndim - 2))


def of_target(constant: Tensor, targets: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Return constant[y] for class indices of any shape; class 0's where the position is ignored."""
    return constant[torch.where(targets == ignore_index, 0, targets)]


def mixture(each: Tensor, q: Tensor) -> Tensor:
    """sum_k q_k l(z, k).

    Args:
        each: the loss of every class, were it the target, (N, C, d1..dk).
        q: soft targets of the same shape.

    Returns:
        (N, d1..dk).
    """
    return (q.to(each.dtype) * each).sum(1)


def class_weighted(
    loss: Callable[[Tensor, Tensor], Tensor],
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None,
    ignore_index: int = IGNORE,
) -> Tensor:
    """w_y l(z, y), or sum_k q_k w_k l(z, k): a loss with a weight (C,) on every class, None for no weight."""
    if weight is None:
        return loss(logits, targets)
    if is_soft(targets):
        return loss(logits, targets * across(weight, logits))
    return loss(logits, targets) * of_target(weight.to(logits.device), targets, ignore_index)


def smoothed(
    targets: Tensor, num_classes: int, smoothing: float, dtype: torch.dtype, ignore_index: int = IGNORE
) -> Tensor:
    """Class indices as the soft target (1 - e) onehot + e / C; zeros where ignored.

    Args:
        targets: class indices (N, d1..dk).
        num_classes: C.
        smoothing: e in [0, 1].
        dtype: of the result.
        ignore_index: the index that marks a position as ignored.

    Returns:
        (N, C, d1..dk).

    Reference: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.
    """
    kept = (targets != ignore_index).unsqueeze(1)
    index = torch.where(kept, targets.unsqueeze(1), 0)
    shape = (targets.shape[0], num_classes, *targets.shape[1:])
    flat = torch.full(shape, smoothing / num_classes, dtype=dtype, device=targets.device)
    hot = torch.full(index.shape, 1 - smoothing, dtype=dtype, device=targets.device)
    return flat.scatter_add(1, index, hot) * kept
