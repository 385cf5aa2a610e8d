"""Softmax equalisation: rare classes are left out of the denominators of other classes. Shapes as in `softmax`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.mixtures import IGNORE, is_soft, mixture, widen


def equalised(logits: Tensor, targets: Tensor, left_out: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """l(z, y) = -log( e^(z_y) / sum_k w_k e^(z_k) ), w_k = 0 where class k is left out and k != y, else 1.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        left_out: bool, of the logits' shape or one that broadcasts to it.
        ignore_index: the index that marks a position as ignored.

    Reference: Tan et al., Equalization Loss for Long-Tailed Object Recognition, CVPR 2020.
    """
    z = widen(logits)
    left_out = left_out.expand_as(z)
    if not is_soft(targets):
        own = targets.clamp(0, z.shape[1] - 1).unsqueeze(1)  # any class serves an ignored position
        others = left_out & ~torch.zeros_like(left_out).scatter(1, own, True)
        return F.cross_entropy(z.masked_fill(others, -torch.inf), targets, reduction="none", ignore_index=ignore_index)
    alone = left_out.all(1, keepdim=True)  # every class has only itself in its denominator
    shown = z.masked_fill(left_out & ~alone, -torch.inf)
    among = -torch.log_softmax(shown, 1)
    beside = F.softplus(torch.logsumexp(shown, 1, keepdim=True) - z, threshold=40)
    return mixture(torch.where(alone, 0.0, torch.where(left_out, beside, among)), targets)
