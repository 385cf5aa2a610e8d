"""Losses of C sigmoids, one per class, summed over classes. Per example; shapes as in `softmax`.

With u_j = -z_j for the true class and z_j for every other, each term is a binary log-loss
softplus(u_j) = -log sigmoid(-u_j). A soft target q takes pos_j = the term for u_j = -z_j and neg_j = the term
for u_j = z_j as it is: sum_j q_j pos_j + (1 - q_j) neg_j, which is the mixture sum_k q_k l(z, k).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional import gpu
from longtail.functional.closed_form import ClosedForm, Piece
from longtail.functional.mixtures import IGNORE, Value, is_soft, widen

_FAR = {torch.float32: 80.0, torch.float64: 700.0}
"""e^far is finite and e^-far counts as 0: processors are a hundred times slower with subnormal numbers."""


def sigmoid_cross_entropy(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """Binary cross-entropy of C sigmoids, summed over classes: l(z, y) = sum_j softplus(u_j).

    Reference: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, section 4.2.
    """
    loss = SigmoidCrossEntropy(ignore_index)
    if gpu.runs(loss, logits, targets):
        return gpu.each(loss, logits, targets)
    z = widen(logits)
    return _mixed(_log_loss, z, targets) if is_soft(targets) else loss(z, targets)


def sigmoid_focal(logits: Tensor, targets: Tensor, gamma: Value = 1.0, *, ignore_index: int = IGNORE) -> Tensor:
    """Focal loss of C sigmoids, summed over classes: l(z, y) = sum_j (1 - p_j)^gamma softplus(u_j).

    1 - p_j = sigmoid(u_j) = exp(u_j - softplus(u_j)), which neither overflows nor cancels.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        gamma: >= 0; 0 gives `sigmoid_cross_entropy`.
        ignore_index: the index that marks a position as ignored.

    Reference: Lin et al., ICCV 2017, eq. 4; as summed by Cui et al., CVPR 2019, section 4.3.
    """
    loss = SigmoidFocal(ignore_index, gamma)
    if gpu.runs(loss, logits, targets):
        return gpu.each(loss, logits, targets)
    z = widen(logits)
    return _mixed(loss.term, z, targets) if is_soft(targets) else loss(z, targets)


def _log_loss(u: Tensor) -> Tensor:
    return F.softplus(u, threshold=40)  # past 40 the missing e^-u is below float64's rounding


def _mixed(term: Callable[[Tensor], Tensor], z: Tensor, targets: Tensor) -> Tensor:
    q = targets.to(z.dtype)
    return (q * term(-z) + (q.sum(1, keepdim=True) - q) * term(z)).sum(1)


def _summed(term: Callable[[Tensor], Tensor], z: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    ignored = targets == ignore_index
    index = targets.masked_fill(ignored, 0).unsqueeze(1)
    u = z.scatter_add(1, index, -2 * z.gather(1, index))  # z - 2 z is exact
    return term(u).sum(1).masked_fill(ignored, 0)


@dataclass(frozen=True)
class SigmoidCrossEntropy(ClosedForm):
    """l(z, y) = sum_j softplus(u_j)."""

    SIGMOID: ClassVar[bool] = True
    ignore_index: int

    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """By torch's softplus."""
        return _summed(_log_loss, logits, targets, self.ignore_index)

    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        """sum_j softplus(u_j) = sum_j relu(u_j) + log prod_j (1 + e_j), e_j = e^-|z_j|."""
        hinge = z.clamp(min=0).scatter_(1, index, (-z.gather(1, index)).clamp_(min=0)).sum(1, keepdim=True)
        e = z.abs().neg_().clamp_(min=-_FAR[z.dtype]).exp_()
        for _ in range(5):  # a logarithm for up to 32 terms: (1 + a)(1 + b) = 1 + (a + b + a b), at most 2^32
            half = e.shape[1] // 2
            a, b = e.narrow(1, 0, half), e.narrow(1, e.shape[1] - half, half)
            a.addcmul_(a, b).add_(b)
            e = e.narrow(1, 0, e.shape[1] - half)
        return hinge.add_(e.log1p().sum(1, keepdim=True))

    def write_gradient(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """g sigmoid(u_j), with the sign of u_j."""
        true = torch.sigmoid(-z.gather(1, index)).neg_()  # sigmoid(z) - 1, which would cancel
        torch.sigmoid(z, out=out).scatter_(1, index, true).mul_(g)


@dataclass(frozen=True)
class SigmoidFocal(ClosedForm):
    """l(z, y) = sum_j sigmoid(u_j)^gamma softplus(u_j)."""

    SIGMOID: ClassVar[bool] = True
    ignore_index: int
    gamma: Value

    def term(self, u: Tensor) -> Tensor:
        """Return sigmoid(u)^gamma softplus(u)."""
        loss = _log_loss(u)
        return torch.exp(self.gamma * (u - loss)) * loss

    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """By torch's softplus."""
        return _summed(self.term, logits, targets, self.ignore_index)

    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        """sum_j q_j^gamma L_j, L_j = softplus(u_j), q_j = sigmoid(u_j) = e^(u_j - L_j)."""
        u = z.clone().scatter_(1, index, -z.gather(1, index))
        loss = _softplus(u)
        return u.sub_(loss).mul_(self.gamma).clamp_(min=-_FAR[z.dtype]).exp_().mul_(loss).sum(1, keepdim=True)

    def write_gradient(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """d(q^gamma L)/du = q^gamma (gamma (1 - q) L + q); du/dz = -1 for the true class."""
        u = out.copy_(z).scatter_(1, index, -z.gather(1, index))
        loss = _softplus(u)
        log_q = u.sub_(loss)
        q = log_q.clamp(min=-_FAR[z.dtype]).exp_()
        loss.addcmul_(loss, q, value=-1).mul_(self.gamma).add_(q)
        log_q.mul_(self.gamma).clamp_(min=-_FAR[z.dtype]).exp_().mul_(loss).mul_(g)
        out.scatter_(1, index, -out.gather(1, index))


def _softplus(u: Tensor) -> Tensor:
    """log(1 + e^u), without torch's threshold, which costs half as much again."""
    far = _FAR[u.dtype]
    e = u.clamp(-far, far).exp_().log1p_()
    return torch.maximum(e, u, out=e)  # past far, softplus(u) = u
