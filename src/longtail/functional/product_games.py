"""Shapley values of games in which every player multiplies the outcome by one of two factors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def product_shapley(present: Tensor, absent: Tensor) -> Tensor:
    """Return the Shapley values (..., M, N) of M players in N games v(S) = prod_(i in S) p_i prod_(i not in S) a_i.

    phi_i = (p_i - a_i) int_0^1 prod_(j != i) (u p_j + (1 - u) a_j) du

    since int u^s (1 - u)^(M - 1 - s) du = s! (M - 1 - s)! / M!, the weight of a set of s others. The integrand is a
    polynomial of degree M - 1, of which Gauss and Legendre's rule with ceil(M / 2) points is exact. A player with
    p = a = 1 changes nothing.

    A leaf of a tree is such a game between the columns on its path (Lundberg et al. 2020, algorithm 1): p_i is 1 where
    a row passes all splits of column i, else 0; a_i is the product of the shares of rows that went the same way.

    Shapley 1953; for trees Lundberg et al. 2020.

    Args:
        present: (..., M, N) p >= 0.
        absent: broadcast to it, a > 0.
    """
    players = present.shape[-2]
    if players == 0:
        return torch.zeros_like(present)
    points, weights = np.polynomial.legendre.leggauss((players + 1) // 2)
    integral = torch.zeros_like(present)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = present * float(point) + absent * float(1 - point)  # > 0, so that one can be divided out
        integral += float(weight) * factors.prod(-2, keepdim=True) / factors
    return (present - absent) * integral
