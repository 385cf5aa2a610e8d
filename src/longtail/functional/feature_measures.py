"""Measures of features without a classifier: alignment, uniformity and spread within classes, on the unit sphere.

All features f (N, D) are divided by their length first, in float64. The terms are per row, so that they can be pooled.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

T = 2.0
"""Of uniformity, as in Wang and Isola 2020."""
CHUNK = 1024
"""Rows compared with all partners at a time."""


def alignment_terms(first: Tensor, second: Tensor) -> Tensor:
    """Return ||f(x_i) - f(y_i)||^2 (N,), x and y two views of the same rows; their mean is the alignment.

    Wang and Isola 2020, L_align with alpha = 2: 0 is best, 2 is that of unrelated directions.

    Args:
        first, second: features (N, D) of the views.
    """
    return (_unit(first) - _unit(second)).square().sum(1)


def uniformity_terms(features: Tensor, partners: Tensor | None = None) -> Tensor:
    """Return u_i = mean over j != i of exp(-2 ||f_i - f_j||^2) (N,); the log of their mean is the uniformity.

    Wang and Isola 2020, L_uniform with t = 2: without partners the mean is over all pairs of distinct rows. 0 is that
    of features that are all the same, -4 that of unrelated directions in many dimensions.

    Args:
        features: (N, D), at least 2 rows.
        partners: (B,) int64, the rows j that each row is compared with, at least 2; None for all.
    """
    f = _unit(features)
    rows = torch.arange(len(f), device=f.device)
    partners = rows if partners is None else partners
    terms = []
    for some in torch.split(rows, CHUNK):
        kernel = (-T * (2 - 2 * f[some] @ f[partners].T).clamp(min=0)).exp()
        other = some[:, None] != partners[None]
        terms.append((kernel * other).sum(1) / other.sum(1))
    return torch.cat(terms)


def spread_terms(features: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Return ||f_i - m_c||^2 (N,), m_c the mean of the unit features of the row's class, itself not of length 1.

    Their mean over a class is its spread, 1 - ||m_c||^2: 0 where all its features are the same, 1 where they cancel.

    Args:
        features: (N, D).
        targets: (N,) int64 in [0, C).
        num_classes: C.
    """
    f = _unit(features)
    sums = f.new_zeros(num_classes, f.shape[1]).index_add_(0, targets, f)
    sizes = torch.bincount(targets, minlength=num_classes).clamp(min=1)
    return (f - (sums / sizes[:, None])[targets]).square().sum(1)


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.double(), dim=1)
