"""Losses of C sigmoids, one per class, summed over classes. Per example; shapes as in `softmax`.

With t_j = z_j for the class that is meant and -z_j for every other, each term is a binary log-loss
softplus(-t_j) = -log sigmoid(t_j). A soft target q takes pos_j = the term for t_j = z_j and neg_j = the term
for t_j = -z_j as it is: sum_j q_j pos_j + (1 - q_j) neg_j, which is the mixture sum_k q_k l(z, k).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.mixtures import IGNORE, Value, is_soft, widen


def sigmoid_cross_entropy(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """Binary cross-entropy of C sigmoids, summed over classes: l(z, y) = sum_j softplus(-t_j).

    Reference: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, section 4.2.
    """
    return _summed(_log_loss, logits, targets, ignore_index)


def sigmoid_focal(logits: Tensor, targets: Tensor, gamma: Value = 1.0, *, ignore_index: int = IGNORE) -> Tensor:
    """Focal loss of C sigmoids, summed over classes: l(z, y) = sum_j (1 - p_j)^gamma softplus(-t_j).

    p_j = sigmoid(t_j), so (1 - p_j)^gamma = exp(-gamma softplus(t_j)), which neither overflows nor cancels.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        gamma: >= 0; 0 gives `sigmoid_cross_entropy`.
        ignore_index: the index that marks a position as ignored.

    Reference: Lin et al., ICCV 2017, eq. 4; as summed by Cui et al., CVPR 2019, section 4.3.
    """

    def term(t: Tensor) -> Tensor:
        loss = _log_loss(t)
        return torch.exp(-gamma * (loss + t)) * loss  # softplus(t) = softplus(-t) + t

    return _summed(term, logits, targets, ignore_index)


def _log_loss(t: Tensor) -> Tensor:
    return F.softplus(-t, threshold=40)  # past 40 the missing e^-t is below float64's rounding


def _summed(term: Callable[[Tensor], Tensor], logits: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    z = widen(logits)
    if is_soft(targets):
        q = targets.to(z.dtype)
        return (q * term(z) + (q.sum(1, keepdim=True) - q) * term(-z)).sum(1)
    ignored = targets == ignore_index
    index = targets.masked_fill(ignored, 0).unsqueeze(1)
    # -t: z with the entry that is meant turned round; z - 2 z is exact
    against = z.scatter_add(1, index, -2 * z.gather(1, index))
    return term(-against).sum(1).masked_fill(ignored, 0)
