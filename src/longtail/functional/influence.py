"""Influence-balanced cross-entropy: an example weighs the inverse of its influence on the classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import IGNORE, Value, across, is_soft, mixture, of_target, widen
from longtail.functional.softmax import cross_entropy, modulated

EPS = 1e-3
"""Added to the influence, as in the released code."""


def influence_balanced(
    logits: Tensor,
    targets: Tensor,
    features: Tensor,
    alpha: Value = 1000.0,
    balance: Value = 1.0,
    *,
    gamma: Value = 0.0,
    modulator_weight: Tensor | None = None,
    detach: bool = True,
    ignore_index: int = IGNORE,
) -> Tensor:
    """l(z, y) = c (1 - b + b (1 - e^-c)^gamma alpha / (G H + 0.001)), c = -log p_y, p = softmax(z).

    G = sum_k |p_k - [k = y]| = 2 (1 - p_y) and H = sum_d |h_d|, h the features: G H is the L1 norm of the gradient with
    respect to the classifier's weights.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        features: h (N, D), the input of the classifier.
        alpha: > 0.
        balance: b in [0, 1]; 0 is plain cross-entropy.
        gamma: >= 0, of a focal modulation beside the factor.
        modulator_weight: class weights w (C,); where given, c is w_y times -log p_y throughout, as in the code.
        detach: whether the factor is constant in the gradient.
        ignore_index: the index that marks a position as ignored.

    Reference: Park et al., Influence-Balanced Loss for Imbalanced Visual Classification, ICCV 2021.
    """
    z = widen(logits)
    soft = is_soft(targets)
    each = -torch.log_softmax(z, 1) if soft else cross_entropy(z, targets, ignore_index=ignore_index)
    size = features.to(z.dtype).abs().sum(1).reshape(-1, *[1] * (each.ndim - 1))
    factor = alpha / (-2 * torch.expm1(-each) * size + EPS)
    factor = factor.detach() if detach else factor
    if modulator_weight is not None:
        w = modulator_weight.to(z.device, z.dtype)
        each = each * (across(w, z) if soft else of_target(w, targets, ignore_index))
    if isinstance(gamma, Tensor) or gamma != 0:
        losses = each * (1 - balance) + balance * factor * modulated(each, gamma)
    else:
        losses = each * (1 - balance + balance * factor)
    return mixture(losses, targets) if soft else losses
