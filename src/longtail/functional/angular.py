"""Margins on the angle between features and the true class's weights. Per example."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import IGNORE, is_soft, widen

TIMES = (1, 2, 3, 4)
"""Multiples of the angle that psi is written out for, as in the released code."""
EPS = 1e-9
"""Added to each norm, as in the released code."""


def angular_lowering(cosines: Tensor, times: int) -> Tensor:
    """cos(theta) - psi(theta) >= 0, psi(theta) = (-1)^k cos(m theta) - 2 k for theta in [k pi / m, (k + 1) pi / m].

    Without branches: the sign of (-1)^k and k follow from signs of polynomials of c = cos(theta), which are constants
    of the gradient; cos(m theta) is a Chebyshev polynomial of c.

    Args:
        cosines: c, of any shape.
        times: m in 1, 2, 3, 4; 1 gives 0.

    Raises:
        ValueError: another m.

    Reference: Liu et al., Large-Margin Softmax Loss for Convolutional Neural Networks, ICML 2016, eq. 5-6.
    """
    c = cosines
    if times not in TIMES:
        raise ValueError(f"times must be one of 1, 2, 3, 4, got {times!r}; the margin is written out for these")
    if times == 1:
        return torch.zeros_like(c)
    s0 = _sign(c)
    if times == 2:
        return c - (2 * s0 * c**2 - 1)
    if times == 3:
        s1 = _sign(c.abs() - 0.5)
        return c - (s1 * (4 * c**3 - 3 * c) + s0 * (1 + s1) - 2)
    s3 = s0 * _sign(2 * c**2 - 1)
    return c - (s3 * (8 * c**4 - 8 * c**2 + 1) + 2 * s0 + s3 - 3)


def angular_margins(
    logits: Tensor, features: Tensor, weight: Tensor, targets: Tensor, times: int, *, ignore_index: int = IGNORE
) -> Tensor:
    """By how much L-Softmax lowers the true logit: |w_y| |h| (cos(theta_y) - psi(theta_y)), theta_y between w_y and h.

    The argument `margins` of `example_margin` at scale 1; the gradient flows through it.

    Args:
        logits: z_j = w_j . h, (N, C), of a head without bias.
        features: h (N, D).
        weight: W (C, D).
        targets: class indices (N,) or soft targets (N, C).
        times: m in 1, 2, 3, 4.
        ignore_index: the index that marks a position as ignored.

    Returns:
        (N,), or (N, C) for soft targets: that of every class, were it the target.
    """
    z = widen(logits)
    h, w = (torch.linalg.vector_norm(rows.to(z.dtype), dim=1) + EPS for rows in (features, weight))
    if is_soft(targets):
        own, length = z, h[:, None] * w
    else:
        index = targets.masked_fill(targets == ignore_index, 0)
        own, length = z.gather(1, index[:, None]).squeeze(1), h * w[index]
    margins: Tensor = length * angular_lowering(own / length, times)
    return margins


def _sign(x: Tensor) -> Tensor:
    """1 for x >= 0, else -1: at a boundary both pieces of psi agree, and a sign of 0 would be neither."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
