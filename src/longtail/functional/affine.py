"""Class-wise affine logits: a factor and an offset per class. Per example; shapes as in `softmax`."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.facts.counts import positive_counts
from longtail.functional.adjusted import Adjustment, adjusted_cross_entropy
from longtail.functional.hinge import lead
from longtail.functional.mixtures import IGNORE, Value, across, is_soft, mixture, of_target, widen
from longtail.functional.softmax import prior_offset


def relative_counts(counts: Any, *, zero_count: str | float = "error", dtype: torch.dtype | None = None) -> Tensor:
    """n_j / n_max, (C,): the factor of class j is this to the power gamma. Computed in float64.

    Args:
        counts: class counts n (C,).
        zero_count: what an empty class means: "error" names it, "mask" gives it 0, a number replaces it.
        dtype: of the result, by default the default dtype.

    Raises:
        ValueError: a class without examples, unless `zero_count` says otherwise.
    """
    n = positive_counts(counts, zero_count)
    return (n / n.max()).to(dtype or torch.get_default_dtype())


def vector_scaled(
    logits: Tensor,
    targets: Tensor,
    factors: Tensor,
    log_prior: Tensor | None = None,
    tau: Value = 1.0,
    *,
    ignore_index: int = IGNORE,
) -> Tensor:
    """Vector-scaling loss: l(z, y) = -log softmax(b z + tau log pi)_y, b_j = (n_j / n_max)^gamma.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        factors: b (C,).
        log_prior: log pi (C,); -inf takes a class out of the denominator. None for class-dependent temperatures
            alone.
        tau: >= 0.
        ignore_index: the index that marks a position as ignored.

    Reference: Kini et al., Label-Imbalanced and Group-Sensitive Classification under Overparameterization,
    NeurIPS 2021, section 2; Ye et al., Identifying and Compensating for Feature Deviation in Imbalanced Deep
    Learning, 2020 (no prior).
    """
    offset = None if log_prior is None else prior_offset(log_prior, tau)
    return adjusted_cross_entropy(logits, targets, Adjustment(factors, offset), ignore_index=ignore_index)


def binary_vector_scaled(
    logits: Tensor, targets: Tensor, factors: Tensor, offsets: Tensor, *, ignore_index: int = IGNORE
) -> Tensor:
    """Vector-scaling loss of two classes: l(z, y) = log(1 + e^(o_k - o_y - b_y (z_y - z_k))), k the other class.

    The factor is that of the true class and multiplies the difference of the logits; `vector_scaled` multiplies each
    logit by its own factor, which is another loss unless b_y = b_k.

    Args:
        logits: (N, 2, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        factors: b (2,).
        offsets: o (2,).
        ignore_index: the index that marks a position as ignored.

    Reference: Kini et al., NeurIPS 2021, section 2, the loss for binary classification.
    """
    z = widen(logits)
    ahead, shift = lead(z, targets, ignore_index=ignore_index), offsets.flip(0) - offsets
    if is_soft(targets):
        return mixture(F.softplus(across(shift, z) - across(factors, z) * ahead, threshold=40), targets)
    b, o = (of_target(per.to(z.device, z.dtype), targets, ignore_index) for per in (factors, shift))
    return F.softplus(o - b * ahead, threshold=40).masked_fill(targets == ignore_index, 0)
