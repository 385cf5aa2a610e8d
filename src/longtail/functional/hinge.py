"""How far the true class leads, and the hinge on that lead. All per example, none reduced; shapes as in `softmax`."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import IGNORE, Value, across, is_soft, mixture, of_target, widen


def lead(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """The margin of every example: z_y - max_{j != y} z_j, positive where it is classified correctly.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        ignore_index: the index that marks a position as ignored; its margin is that of class 0.

    Returns:
        (N, d1..dk) for class indices; for soft targets (N, C, d1..dk), the lead of every class, were it the
        target.
    """
    if not is_soft(targets):
        index = targets.masked_fill(targets == ignore_index, 0).unsqueeze(1)
        runner_up = logits.scatter(1, index, -torch.inf).max(1).values
        return logits.gather(1, index).squeeze(1) - runner_up
    first, place = logits.max(1, keepdim=True)
    top = torch.zeros_like(logits, dtype=torch.bool).scatter(1, place, True)
    second = logits.masked_fill(top, -torch.inf).max(1, keepdim=True).values
    return logits - torch.where(top, second, first)


def hinge(
    logits: Tensor, targets: Tensor, margins: Tensor, scale: Value = 1.0, *, ignore_index: int = IGNORE
) -> Tensor:
    """Multi-class hinge with a margin per class.

    l(z, y) = s max( max_{j != y} z_j - z_y + Delta_y, 0 )

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        margins: Delta (C,), see `ldam_margins`.
        scale: s > 0.
        ignore_index: the index that marks a position as ignored.

    Reference: Cao et al., Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 3.2.
    """
    z = widen(logits)
    ahead = lead(z, targets, ignore_index=ignore_index)
    if is_soft(targets):
        return scale * mixture(torch.relu(across(margins, z) - ahead), targets)
    wanted = of_target(margins.to(z.device, z.dtype), targets, ignore_index)
    return (scale * torch.relu(wanted - ahead)).masked_fill(targets == ignore_index, 0)
