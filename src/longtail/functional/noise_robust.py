"""Losses on which a wrong label has less effect than on cross-entropy. Shapes as in `softmax`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.closed_form import ClosedForm, Piece
from longtail.functional.mixtures import IGNORE, Value, is_soft, mixture, widen
from longtail.functional.softmax import cross_entropy

TINY = 1e-30
"""Exponents below it are 0: (1 - p^q) / q then differs from -log p by less than any dtype can show."""
FLOOR, LABEL_FLOOR = 1e-7, 1e-4
"""What the released code of symmetric cross-entropy puts in place of smaller probabilities, and of a label's 0."""


def generalised_cross_entropy(
    logits: Tensor, targets: Tensor, q: Value = 0.7, k: Value | None = None, *, ignore_index: int = IGNORE
) -> Tensor:
    """L_q(p) = (1 - p^q) / q, p = softmax(z)_y; with k, truncated: [p > k] (L_q(p) - L_q(k)), not above 0.

    [p > k] is constant in the gradient, so that an example with p <= k has none.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        q: in [0, 1]; 0 is cross-entropy, 1 is 1 - p.
        k: in [0, 1); None or 0 truncates nothing and subtracts nothing.
        ignore_index: the index that marks a position as ignored.

    Reference: Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels,
    NeurIPS 2018, eq. 6 and section 3.3.
    """
    soft = is_soft(targets)
    nll = -torch.log_softmax(widen(logits), 1) if soft else cross_entropy(logits, targets, ignore_index=ignore_index)
    losses = _box_cox(nll, q)
    if k is not None and (isinstance(k, Tensor) or k > 0):
        losses = _truncated(losses, nll, q, k)
        if not soft:
            losses = torch.where(targets == ignore_index, 0.0, losses)
    return mixture(losses, targets) if soft else losses


def _box_cox(nll: Tensor, q: Value) -> Tensor:
    """(1 - e^(-q c)) / q for c = -log p, c itself at q = 0."""
    if isinstance(q, Tensor):  # a branch would wait for the device
        some = q > TINY
        safe = torch.where(some, q, 1.0).to(nll.dtype)
        return torch.where(some, -torch.expm1(-safe * nll) / safe, nll)
    return -torch.expm1(-q * nll) / q if q > TINY else nll


def _truncated(losses: Tensor, nll: Tensor, q: Value, k: Value) -> Tensor:
    if torch.compiler.is_compiling():  # dynamo cannot take the logarithm of a float that moves
        k = torch.zeros_like(nll.detach().sum()) + k
    if isinstance(k, Tensor):
        largest = -torch.log(k.to(nll.dtype))
        limit = torch.where(k > 0, _box_cox(largest, q), 0.0)
        return torch.where(nll < largest, losses - limit, 0.0)
    bound = -math.log(k)
    if isinstance(q, Tensor):
        return torch.where(nll < bound, losses - _box_cox(nll.new_full((), bound), q), 0.0)
    return torch.where(nll < bound, losses - (-math.expm1(-q * bound) / q if q > TINY else bound), 0.0)


def symmetric_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    alpha: Value = 0.1,
    beta: Value = 1.0,
    *,
    label_floor: float = LABEL_FLOOR,
    floor: float = FLOOR,
    ignore_index: int = IGNORE,
) -> Tensor:
    """l(z, y) = -alpha log p_y - beta A sum_{k != y} max(p_k, floor), A = log label_floor, p = softmax(z).

    The second term is the reverse cross-entropy -sum_k p_k log onehot(y)_k with A in place of log 0. Where p_k < floor
    it has no gradient with respect to p_k.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets q of the logits' shape: sum_k q_k l(z, k), in which q is not
            put into the logarithm.
        alpha, beta: >= 0; beta = 0 is alpha times cross-entropy.
        label_floor: in (0, 1].
        floor: in [0, 1).
        ignore_index: the index that marks a position as ignored.

    Reference: Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, ICCV 2019, eq. 4-7; the
    floors are those of the released code.
    """
    if not isinstance(beta, Tensor) and beta == 0:
        return alpha * cross_entropy(logits, targets, ignore_index=ignore_index)
    z, reverse = widen(logits), -math.log(label_floor) * beta
    if not is_soft(targets):
        return Symmetric(ignore_index, alpha, reverse, floor)(z, targets)
    log_p = torch.log_softmax(z, 1)
    floored = log_p.exp().clamp(min=floor)
    return mixture(reverse * (floored.sum(1, keepdim=True) - floored) - alpha * log_p, targets)


@dataclass(frozen=True)
class Symmetric(ClosedForm):
    """l(z, y) = -alpha log p_y + reverse sum_{k != y} max(p_k, floor)."""

    ignore_index: int
    alpha: Value
    reverse: Value
    floor: float

    def constants(self) -> tuple[Value | None, ...]:
        """Both factors."""
        return self.alpha, self.reverse

    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """By the logarithms of the probabilities."""
        log_p = torch.log_softmax(logits, 1)
        own = targets.clamp(0, log_p.shape[1] - 1).unsqueeze(1)  # any class serves an ignored position
        others = log_p.exp().clamp(min=self.floor).scatter(1, own, 0.0).sum(1)
        nll = F.nll_loss(log_p, targets, reduction="none", ignore_index=self.ignore_index)
        return torch.where(targets == self.ignore_index, 0.0, self.alpha * nll + self.reverse * others)

    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        """Both terms."""
        log_p = torch.log_softmax(z, 1)
        nll = -log_p.gather(1, index)
        others = log_p.exp_().clamp_(min=self.floor).scatter_(1, index, 0.0).sum(1, keepdim=True)
        return self.alpha * nll + self.reverse * others

    def write_gradient(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """g (alpha (p_j - [j = y]) + reverse p_j ([j is among the others above the floor] - their sum))."""
        torch.softmax(z, 1, out=out)
        above = torch.where(out >= self.floor, out, 0.0).scatter_(1, index, 0.0)
        factor = self.alpha - self.reverse * above.sum(1, keepdim=True)
        out.mul_(factor).add_(above.mul_(self.reverse)).mul_(g).scatter_add_(1, index, -self.alpha * g)


def bootstrapped(
    logits: Tensor,
    targets: Tensor,
    b: Value = 0.95,
    *,
    hard: bool = False,
    detach: bool = False,
    ignore_index: int = IGNORE,
) -> Tensor:
    """l(z, y) = -b log p_y - (1 - b) sum_k t_k log p_k, p = softmax(z); t = p, or where `hard` onehot(argmax p).

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        b: in [0, 1], the share of the given label; 1 is cross-entropy.
        hard: whether the rest is the likeliest class.
        detach: whether t = p is constant in the gradient; otherwise the second term is the entropy of p, which the
            gradient makes smaller.
        ignore_index: the index that marks a position as ignored.

    Reference: Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping, ICLR 2015 workshop, eq. 6
    and 7.
    """
    if not isinstance(b, Tensor) and b == 1:
        return cross_entropy(logits, targets, ignore_index=ignore_index)
    z, form = widen(logits), Bootstrapped(ignore_index, b, hard, detach)
    if not is_soft(targets):
        return form(z, targets)
    log_p = torch.log_softmax(z, 1)
    return b * mixture(-log_p, targets) + (1 - b) * form.believed(log_p) * targets.sum(1)


@dataclass(frozen=True)
class Bootstrapped(ClosedForm):
    """l(z, y) = -b log p_y - (1 - b) sum_k t_k log p_k."""

    ignore_index: int
    b: Value
    hard: bool
    detach: bool

    def constants(self) -> tuple[Value | None, ...]:
        """The share."""
        return (self.b,)

    def believed(self, log_p: Tensor) -> Tensor:
        """-sum_k t_k log p_k (N, d1..dk)."""
        if self.hard:
            return -log_p.max(1).values
        t = (log_p.detach() if self.detach else log_p).exp()
        return -(t * log_p).sum(1)

    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """By the logarithms of the probabilities."""
        log_p = torch.log_softmax(logits, 1)
        nll = F.nll_loss(log_p, targets, reduction="none", ignore_index=self.ignore_index)
        return torch.where(targets == self.ignore_index, 0.0, self.b * nll + (1 - self.b) * self.believed(log_p))

    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        """Both terms."""
        log_p = torch.log_softmax(z, 1)
        return -self.b * log_p.gather(1, index) + (1 - self.b) * self.believed(log_p).unsqueeze(1)

    def write_gradient(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """g (b (p_j - [j = y]) + (1 - b) u_j), u_j = p_j - [j = argmax p], -p_j (log p_j + H), or 0 where detached."""
        log_p = torch.log_softmax(z, 1)
        torch.exp(log_p, out=out)
        if self.hard:
            best = log_p.max(1, keepdim=True).indices
            out.mul_(g).scatter_add_(1, best, -(1 - self.b) * g)
        elif self.detach:
            out.mul_(self.b * g)
        else:
            entropy = -(out * log_p).sum(1, keepdim=True)
            out.mul_(log_p.add_(entropy).mul_(self.b - 1).add_(self.b)).mul_(g)
        out.scatter_add_(1, index, -self.b * g)
