"""Losses of the softmax: plain, with adjusted logits, and focal. All per example, none reduced.

Shapes throughout: logits (N, C, d1..dk); targets are class indices (N, d1..dk) or soft targets q of the
logits' shape; the result is (N, d1..dk), float32 or wider, 0 where the target is `ignore_index`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.facts.counts import log_priors
from longtail.functional import gpu
from longtail.functional.adjusted import Adjustment, adjusted_cross_entropy
from longtail.functional.index_loss import IndexLoss
from longtail.functional.mixtures import IGNORE, Value, across, is_soft, mixture, of_target, widen


def cross_entropy(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """l(z, y) = -log softmax(z)_y; sum_k q_k l(z, k) for a soft target q."""
    return adjusted_cross_entropy(logits, targets, ignore_index=ignore_index)


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
    adjustment = Adjustment(offset=prior_offset(log_prior, tau))
    return adjusted_cross_entropy(logits, targets, adjustment, ignore_index=ignore_index)


def prior_offset(log_prior: Tensor, tau: Value) -> Tensor:
    """tau log pi (C,), -inf where log pi is, at tau = 0 too."""
    if not isinstance(tau, Tensor) and tau == 1:
        return log_prior
    offset = tau * log_prior
    if isinstance(tau, Tensor) or tau == 0:  # 0 * inf is no number
        offset = torch.where(torch.isneginf(log_prior), log_prior, offset)
    return offset


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
    w, loss = modulator_weight, Focal(ignore_index, gamma)
    if w is None and gpu.runs(loss, logits, targets):
        return gpu.each(loss, logits, targets)
    z = widen(logits)
    if is_soft(targets):
        each = -torch.log_softmax(z, 1)
        return mixture(modulated(each if w is None else across(w, z) * each, gamma), targets)
    if w is None:
        return loss.formula(z, targets)
    c = cross_entropy(z, targets, ignore_index=ignore_index)
    return modulated(c * of_target(w.to(z.device, z.dtype), targets, ignore_index), gamma)


@dataclass(frozen=True)
class Focal(IndexLoss):
    """l(z, y) = -(1 - p_y)^gamma log p_y."""

    ignore_index: int
    gamma: Value

    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Modulated cross-entropy."""
        return modulated(F.cross_entropy(logits, targets, reduction="none", ignore_index=self.ignore_index), self.gamma)


def modulated(nll: Tensor, gamma: Value) -> Tensor:
    """(1 - e^-c)^gamma c, c = -log p >= 0: any log-loss with focal modulation, finite with its gradient."""
    minus_wrong = torch.expm1(-nll)
    if not isinstance(gamma, Tensor) and gamma % 2 == 0:  # an even power has no sign, and no slope that is infinite
        return minus_wrong.pow(gamma) * nll
    # c -> 0 makes 1 - exp(-c) vanish and, for gamma < 1, its power's slope infinite
    return (-minus_wrong).clamp(min=torch.finfo(nll.dtype).tiny).pow(gamma) * nll
