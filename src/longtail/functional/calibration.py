"""Gaussians of classes in feature space: their statistics, those that rare classes borrow, and draws from them."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import widen

FULL, DIAGONAL, SHARED = "full", "diagonal", "shared"
COVARIANCES = (FULL, DIAGONAL, SHARED)
AT_ONCE = 2**24
"""Numbers of gathered roots (M, D, D): draws from full covariances are made for so many at a time."""


def class_gaussians(
    features: Tensor,
    targets: Tensor,
    num_classes: int,
    *,
    weight: Tensor | None = None,
    covariance: str = FULL,
    shrinkage: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Return the mean mu_c (C, D) and the covariance S_c of the features of every class, shrunk to a sphere.

    S = (1 - s) R + s (tr R / D) I, R = sum_i w_i (h_i - mu)(h_i - mu)^T / (sum_i w_i - 1), s the shrinkage

    A class of one row has R = 0. "diagonal" leaves out all but the variances; "shared" is one S of all classes, R of
    the distances to the rows' own means, divided by sum_i w_i - C. A divisor below 1 is 1.

    Args:
        features: h (N, D).
        targets: class indices (N,).
        num_classes: C.
        weight: w >= 0 (N,) or None; a row of weight k counts as k rows.
        covariance: "full", "diagonal" or "shared".
        shrinkage: s in [0, 1].

    Returns:
        (C, D) and (C, D, D), (C, D) for "diagonal" or (1, D, D) for "shared", in float64.

    Raises:
        ValueError: a class without rows (of weight > 0).
    """
    h = features.detach().double()
    w = torch.ones_like(h[:, 0]) if weight is None else weight.to(h)
    totals = h.new_zeros(num_classes).index_add(0, targets, w)
    if not bool((totals > 0).all()):
        empty = int(totals.argmin())
        raise ValueError(f"targets must have a row of every class, got none of class {empty}; leave out the class")
    means = h.new_zeros(num_classes, h.shape[1]).index_add(0, targets, w[:, None] * h) / totals[:, None]
    apart = h - means[targets]
    if covariance == DIAGONAL:
        squares = h.new_zeros(means.shape).index_add(0, targets, w[:, None] * apart.square())
        return means, _shrunk(squares / (totals - 1).clamp(min=1)[:, None], shrinkage, diagonal=True)
    if covariance == SHARED:
        pooled = (w[:, None] * apart).T @ apart / (totals.sum() - num_classes).clamp(min=1)
        return means, _shrunk(pooled[None], shrinkage)
    own = h.new_empty(num_classes, h.shape[1], h.shape[1])
    for c in range(num_classes):
        rows = targets == c
        own[c] = (w[rows, None] * apart[rows]).T @ apart[rows] / (totals[c] - 1).clamp(min=1)
    return means, _shrunk(own, shrinkage)


def _shrunk(covariance: Tensor, shrinkage: float, *, diagonal: bool = False) -> Tensor:
    """Return (1 - s) R + s (tr R / D) I of every R (..., D, D), or of the diagonals (..., D)."""
    variances = covariance if diagonal else covariance.diagonal(dim1=-2, dim2=-1)
    sphere = shrinkage * variances.mean(-1, keepdim=True)
    if diagonal:
        return (1 - shrinkage) * covariance + sphere
    return (1 - shrinkage) * covariance + torch.diag_embed(sphere.expand(variances.shape))


def borrowed_shares(means: Tensor, tail: Tensor, q: int, tau: float) -> Tensor:
    """Return from which classes each tail class borrows, and in which shares (C, C): rows of 0 for all others.

    share_k of class t = exp(-d_k / (tau d)) / sum over the q nearest, d_k = ||mu_t - mu_k||, d their mean

    The q nearest are classes outside the tail; where there are fewer, all of them. tau -> 0 is the nearest alone, tau
    -> inf equal shares; where all q are at distance 0, shares are equal.

    Args:
        means: mu (C, D).
        tail: bool (C,).
        q: >= 0; 0 borrows nothing.
        tau: > 0.
    """
    heads = torch.nonzero(~tail).flatten()
    shares = means.new_zeros(len(means), len(means))
    number = min(q, len(heads))
    if number == 0:
        return shares
    for t in torch.nonzero(tail).flatten().tolist():
        d, nearest = (means[heads] - means[t]).norm(dim=1).topk(number, largest=False)
        shares[t, heads[nearest]] = (-d / (tau * d.mean().clamp(min=torch.finfo(d.dtype).tiny))).softmax(0)
    return shares


def calibrated(own: Tensor, shares: Tensor, gamma: float) -> Tensor:
    """Return gamma own_t + (1 - gamma) sum_k share_tk own_k for every class that borrows; all others as they are.

    Args:
        own: (C, ...), a statistic of every class.
        shares: (C, C) of `borrowed_shares`.
        gamma: in [0, 1], the confidence in the own statistics.
    """
    borrowed = (shares.to(own.dtype) @ own.flatten(1)).view_as(own)
    borrows = (shares.sum(1) > 0).view(-1, *[1] * (own.ndim - 1))
    return torch.where(borrows, gamma * own + (1 - gamma) * borrowed, own)


def covariance_root(covariance: Tensor, *, diagonal: bool = False) -> Tensor:
    """Return the A with A A^T = S of every covariance: the symmetric root, or square roots of a diagonal.

    A Cholesky factor has the same use and needs positive definite S, which those of few rows are not; the symmetric
    root is unique, too.
    """
    if diagonal:
        return covariance.clamp(min=0).sqrt()
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.mT
    return root


def gaussian_draws(means: Tensor, root: Tensor, classes: Tensor, noise: Tensor) -> Tensor:
    """Return z_m = mu_c + A_c eps_m (M, D) for the class c of every draw.

    Args:
        means: mu (C, D).
        root: A (C, D, D), one for all classes (1, D, D), or the square roots of variances (C, D).
        classes: (M,).
        noise: eps (M, D), standard normal.
    """
    if root.ndim == 2:
        return means[classes] + root[classes] * noise
    if len(root) == 1:
        return means[classes] + noise @ root[0].T
    step = max(1, AT_ONCE // root[0].numel())
    pieces = zip(torch.split(classes, step), torch.split(noise, step), strict=True)
    return means[classes] + torch.cat([torch.einsum("mij,mj->mi", root[c], eps) for c, eps in pieces])


def missing_rows(counts: Tensor) -> tuple[Tensor, float]:
    """Return of which classes rows are missing for equal counts, as shares (C,), and how many for each row there is.

    shares = (n_max - n_c) / sum_k (n_max - n_k), per row (C n_max - N) / N; equal counts miss none: shares of 0, and 0.

    Args:
        counts: n (C,), N their sum.
    """
    n = counts.double()
    missing = n.max() - n
    total = missing.sum()
    return missing / torch.where(total > 0, total, 1.0), float(total / n.sum())


def feature_spread(features: Tensor) -> Tensor:
    """Return the root of the mean of ||h_i - mean h||^2 over the rows (N, D), 0-dim float64; 1 where all are equal."""
    h = features.detach().double()
    spread = (h - h.mean(0)).square().sum(1).mean().sqrt()
    return torch.where(spread > 0, spread, 1.0)


def feature_distance(features: Tensor, others: Tensor) -> Tensor:
    """Return ||f_i - g_i|| (N,), not squared; where both are equal its gradient is 0."""
    distances: Tensor = torch.linalg.vector_norm(widen(features) - widen(others), dim=1)
    return distances
