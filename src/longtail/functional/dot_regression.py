"""Dot regression: features are drawn to the fixed vector of their class, and pushed away from no other."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import IGNORE, Value, is_soft, mixture, widen


def dot_regression(logits: Tensor, targets: Tensor, scale: Value = 1.0, *, ignore_index: int = IGNORE) -> Tensor:
    """l(z, y) = (s / 2) (z_y - 1)^2.

    With z_y = <m_y, h> / s, ||m_y||^2 = E_W, ||h||^2 = E_H and s = sqrt(E_W E_H) it is the paper's
    (<m_y, h> - s)^2 / (2 s). Its gradient with respect to unit vectors h is -s (1 - z_y) m_y.

    Args:
        logits: cosines z (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        scale: s > 0.
        ignore_index: the index that marks a position as ignored.

    Reference: Yang et al., Inducing Neural Collapse in Imbalanced Learning, NeurIPS 2022, the DR loss.
    """
    z = widen(logits)
    if is_soft(targets):
        return mixture(scale / 2 * (z - 1).square(), targets)
    kept = targets != ignore_index
    own = z.gather(1, torch.where(kept, targets, 0).unsqueeze(1)).squeeze(1)
    return scale / 2 * torch.where(kept, own - 1, 0.0).square()


def balancing_factors(
    targets: Tensor, num_classes: int, *, ignore_index: int = IGNORE, dtype: torch.dtype = torch.float32
) -> Tensor:
    """f_j = (sum_k b_k) / (K b_j) of the classes of a batch, b_j its rows of class j and K the classes that it has.

    Losses times f_y have as their mean over the batch the mean over its classes of their means. A class without rows
    has factor 1.

    Args:
        targets: class indices (N, d1..dk) or soft targets (N, C, d1..dk), of which each counts in parts.
        num_classes: C.
        ignore_index: the index that marks a position as ignored.
        dtype: of the result (C,).
    """
    if is_soft(targets):
        rows = targets.to(dtype).transpose(0, 1).flatten(1).sum(1)
    else:
        kept = (targets != ignore_index).flatten()
        rows = torch.zeros(num_classes, dtype=dtype, device=targets.device)
        rows = rows.scatter_add(0, torch.where(kept, targets.flatten(), 0), kept.to(dtype))
    present = rows > 0
    return torch.where(present, rows.sum() / (present.sum() * torch.where(present, rows, 1.0)), 1.0)
