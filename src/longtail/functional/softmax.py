"""Losses of the softmax: plain, with adjusted logits, and focal. All per example, none reduced.

Shapes throughout: logits (N, C, d1..dk); targets are class indices (N, d1..dk) or soft targets q of the
logits' shape; the result is (N, d1..dk), float32 or wider, 0 where the target is `ignore_index`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.facts.counts import log_priors
from longtail.functional.closed_form import ClosedForm, Piece, flat
from longtail.functional.mixtures import IGNORE, Value, across, is_soft, mixture, of_target, widen


def cross_entropy(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """l(z, y) = -log softmax(z)_y; sum_k q_k l(z, k) for a soft target q."""
    z = widen(logits)
    if is_soft(targets):
        return mixture(-torch.log_softmax(z, 1), targets)
    return F.cross_entropy(z, targets, reduction="none", ignore_index=ignore_index)


def log_prior(counts: Any, *, zero_count: str | float = "error", dtype: torch.dtype | None = None) -> Tensor:
    """log pi_j = log(n_j / N), (C,); computed in float64, returned in the default dtype.

    Args:
        counts: class counts n (C,).
        zero_count: what an empty class means: "error" names it, "mask" gives it -inf, a number
            replaces it.
        dtype: of the result.

    Raises:
        ValueError: a class without examples, unless `zero_count` says otherwise.
    """
    return log_priors(counts, zero_count).to(dtype or torch.get_default_dtype())


def logit_adjusted(
    logits: Tensor, targets: Tensor, log_prior: Tensor, tau: Value = 1.0, *, ignore_index: int = IGNORE
) -> Tensor:
    """Logit-adjusted cross-entropy: l(z, y) = -log softmax(z + tau log pi)_y.

    tau = 1 is the balanced softmax. A class with log pi = -inf leaves the denominator and gets no gradient;
    soft targets on it cost nothing, an index on it costs infinity.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        log_prior: log pi (C,).
        tau: >= 0; 0 gives plain cross-entropy.
        ignore_index: the index that marks a position as ignored.

    Reference: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 10; Ren et al., Balanced
    Meta-Softmax, NeurIPS 2020, section 3.1 (tau = 1).
    """
    z = widen(logits)
    prior = log_prior.to(z.device, z.dtype)
    shift = tau * prior
    if isinstance(tau, Tensor) or tau == 0:  # 0 * inf is no number
        shift = torch.where(torch.isneginf(prior), prior, shift)
    if not is_soft(targets):
        return adjusted_cross_entropy(z, targets, offset=shift, ignore_index=ignore_index)
    each = -torch.log_softmax(z + across(shift, z), 1)
    return mixture(torch.where(torch.isneginf(across(prior, z)), 0.0, each), targets)


def adjusted_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    factor: Value | None = None,
    offset: Tensor | None = None,
    margin: Tensor | None = None,
    ignore_index: int = IGNORE,
) -> Tensor:
    """Cross-entropy of adjusted logits: l(z, y) = -log softmax(a)_y, a_j = b_j z_j + o_j - m [j = y].

    For class indices, since every example has its own m. On a CPU in pieces, see `closed_form`.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk).
        factor: b, a number or (C,); None for 1.
        offset: o (C,); None for 0.
        margin: m, of the targets' shape; None for 0.
        ignore_index: the index that marks a position as ignored.
    """
    return _AdjustedCrossEntropy(ignore_index, factor, offset, margin)(widen(logits), targets)


@dataclass(frozen=True)
class _AdjustedCrossEntropy(ClosedForm):
    ignore_index: int
    factor: Value | None
    offset: Tensor | None
    margin: Tensor | None

    def constants(self) -> Sequence[Any]:
        return self.factor, self.offset, self.margin

    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        a = logits if self.factor is None else logits * _factor(self.factor, logits)
        a = a if self.offset is None else a + across(self.offset, logits)
        if self.margin is not None:
            index = targets.masked_fill(targets == self.ignore_index, 0).unsqueeze(1)
            a = a.scatter_add(1, index, -self.margin.to(a.dtype).unsqueeze(1))
        return F.cross_entropy(a, targets, reduction="none", ignore_index=self.ignore_index)

    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        return -torch.log_softmax(self._adjusted(z, index, at), 1).gather(1, index)

    def write_gradient(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """g b_j (softmax(a)_j - [j = y])."""
        torch.softmax(self._adjusted(z, index, at), 1, out=out)
        out.mul_(g).scatter_add_(1, index, -g)
        if self.factor is not None:
            out.mul_(_factor(self.factor, z))

    def _adjusted(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        offset = 0.0 if self.offset is None else across(self.offset, z)
        if self.factor is None:
            a = z + offset
        else:
            a = z * _factor(self.factor, z)
            a = a if self.offset is None else a.add_(offset)
        return a if self.margin is None else a.scatter_add_(1, index, -flat(self.margin.unsqueeze(1))[at])


def _factor(factor: Value, z: Tensor) -> Value:
    return across(factor, z) if isinstance(factor, Tensor) and factor.ndim > 0 else factor


def focal(
    logits: Tensor,
    targets: Tensor,
    gamma: Value = 2.0,
    *,
    modulator_weight: Tensor | None = None,
    ignore_index: int = IGNORE,
) -> Tensor:
    """Focal loss of the softmax: l(z, y) = -(1 - p_y)^gamma log p_y, p = softmax(z).

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        gamma: >= 0; 0 gives plain cross-entropy.
        modulator_weight: class weights w (C,); where given, c = -log p_y is replaced by w_y c throughout, so
            the weight also enters the modulator, as in the code of LDAM.
        ignore_index: the index that marks a position as ignored.

    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, eq. 4, there for two classes.
    """
    z, w = widen(logits), modulator_weight
    if is_soft(targets):
        each = -torch.log_softmax(z, 1)
        return mixture(modulated(each if w is None else across(w, z) * each, gamma), targets)
    c = cross_entropy(z, targets, ignore_index=ignore_index)
    if w is not None:
        c = c * of_target(w.to(z.device, z.dtype), targets, ignore_index)
    return modulated(c, gamma)


def modulated(nll: Tensor, gamma: Value) -> Tensor:
    """(1 - e^-c)^gamma c, c = -log p >= 0: any log-loss with focal modulation, finite with its gradient."""
    # c -> 0 makes 1 - exp(-c) vanish and, for gamma < 1, its power's slope infinite
    wrong = (-torch.expm1(-nll)).clamp(min=torch.finfo(nll.dtype).tiny)
    return wrong.pow(gamma) * nll
