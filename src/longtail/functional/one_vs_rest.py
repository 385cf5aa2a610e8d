"""Binary losses of every class against the rest, summed over classes. Per example; shapes as in `softmax`.

With u_j = -z_j for the true class and z_j for every other, each term is a function of u_j that grows with it. A soft
target q takes pos_j = the term for u_j = -z_j and neg_j = the term for u_j = z_j as it is: sum_j q_j pos_j +
(1 - q_j) neg_j, which is the mixture sum_k q_k l(z, k).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from longtail.functional.mixtures import IGNORE, is_soft, widen


def binary_hinge(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """The hinge of C classifiers: l(z, y) = sum_j max(0, 1 - t_j z_j), t_j = 1 for j = y and -1 for the others.

    Reference: Cortes and Vapnik, Support-Vector Networks, Machine Learning 1995; one classifier for each class.
    """
    return _one_vs_rest(lambda u: torch.relu(1 + u), logits, targets, ignore_index)


def binary_squares(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """The squared distance of C classifiers from labels of 1 and -1: l(z, y) = sum_j (1 - t_j z_j)^2.

    Reference: Suykens and Vandewalle, Least Squares Support Vector Machine Classifiers, Neural Processing Letters 1999.
    """
    return _one_vs_rest(lambda u: (1 + u).square(), logits, targets, ignore_index)


def _one_vs_rest(term: Callable[[Tensor], Tensor], logits: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    z = widen(logits)
    return mixed(term, z, targets) if is_soft(targets) else summed(term, z, targets, ignore_index)


def mixed(term: Callable[[Tensor], Tensor], z: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of a term over classes for soft targets."""
    q = targets.to(z.dtype)
    return (q * term(-z) + (q.sum(1, keepdim=True) - q) * term(z)).sum(1)


def summed(term: Callable[[Tensor], Tensor], z: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    """Return the sum of a term over classes for class indices, 0 where ignored."""
    ignored = targets == ignore_index
    index = targets.masked_fill(ignored, 0).unsqueeze(1)
    u = z.scatter_add(1, index, -2 * z.gather(1, index))  # z - 2 z is exact
    return term(u).sum(1).masked_fill(ignored, 0)
