"""Frames: C unit vectors in D dimensions, one per class, spread evenly."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TOLERANCE = 1e-10
"""Of the inner products of a new frame."""
CANDIDATES = 32
"""Sets of frequencies of which a harmonic frame takes the best."""


def simplex_frame(num_classes: int, dim: int, generator: torch.Generator | None = None) -> Tensor:
    """Simplex equiangular tight frame: M = sqrt(C / (C - 1)) (I - 11^T / C) U^T, in a random orientation.

    <m_i, m_j> = C / (C - 1) [i = j] - 1 / (C - 1)

    The rows span C - 1 dimensions, so it is built there, from an orthonormal basis of the vectors that sum to 0, and
    placed by orthonormal columns. Thus C = D + 1 is possible, which the usual construction in C dimensions excludes.

    Args:
        num_classes: C >= 2.
        dim: D >= C - 1.
        generator: of the orientation, on the CPU; torch's global one by default.

    Returns:
        (C, D) float64 on the CPU; its inner products were checked against the definition.

    Raises:
        ValueError: more than D + 1 classes, or fewer than two.

    Reference: Yang et al., Inducing Neural Collapse in Imbalanced Learning, NeurIPS 2022, definition 1.
    """
    _check_sizes(num_classes, dim)
    if num_classes > dim + 1:
        raise ValueError(
            f"num_classes must be at most dim + 1 = {dim + 1} for a simplex, got {num_classes}; take more dimensions, "
            "or tight_frame"
        )
    length = math.sqrt(num_classes / (num_classes - 1))
    frame = length * _sum_to_zero(num_classes) @ _orthonormal(dim, num_classes - 1, generator).T
    wanted = (num_classes * torch.eye(num_classes, dtype=torch.float64) - 1) / (num_classes - 1)
    return _checked(frame, frame @ frame.T - wanted)


def tight_frame(num_classes: int, dim: int, generator: torch.Generator | None = None) -> Tensor:
    """Unit vectors with sum_k m_k m_k^T = (C / D) I: the simplex where C <= D + 1, else a harmonic frame.

    m_k has the coordinates sqrt(2 / D) (cos(2 pi f k / C), sin(2 pi f k / C)) of D / 2 frequencies f, and for odd D one
    of 1 / sqrt(D), whose sign alternates where C is even; all in a random orientation. <m_i, m_j> depends on i - j
    alone. Of `CANDIDATES` random sets of frequencies, each with f = 1, it has the one whose largest inner product of
    two classes is smallest; with f = 1 no two vectors are equal.

    Arguments, result and errors as of `simplex_frame`, but C may be any number; where the simplex fits, the sum is
    (C / (C - 1)) times the projection on its C - 1 dimensions.

    Raises:
        ValueError: more than two classes in one dimension, or fewer than two.
    """
    _check_sizes(num_classes, dim)
    if num_classes <= dim + 1:
        return simplex_frame(num_classes, dim, generator)
    if dim == 1:
        raise ValueError(f"dim must be >= 2 for more than two classes, got 1 for {num_classes}; take more dimensions")
    angles = 2 * math.pi / num_classes * torch.arange(num_classes, dtype=torch.float64)
    best, largest = torch.empty(0), math.inf
    for _ in range(CANDIDATES):
        others = torch.randperm((num_classes - 1) // 2 - 1, generator=generator)[: dim // 2 - 1] + 2
        phases = angles[:, None] * torch.cat([torch.ones(1), others])
        parts = [math.sqrt(2) * phases.cos(), math.sqrt(2) * phases.sin()]
        if dim % 2:
            parts.append((angles * (num_classes // 2)).cos().sign()[:, None] if num_classes % 2 == 0 else _ones(angles))
        vectors = torch.cat(parts, 1) / math.sqrt(dim)
        nearest = float((vectors[1:] @ vectors[0]).max())
        if nearest < largest:
            best, largest = vectors, nearest
    frame = best @ _orthonormal(dim, dim, generator).T
    lengths = frame.square().sum(1) - 1
    spread = frame.T @ frame - num_classes / dim * torch.eye(dim, dtype=torch.float64)
    return _checked(frame, torch.cat([lengths, spread.flatten() * dim / num_classes]))


def _check_sizes(num_classes: int, dim: int) -> None:
    if num_classes < 2:
        raise ValueError(f"num_classes must be >= 2, got {num_classes}; there is nothing to classify")
    if dim < 1:
        raise ValueError(f"dim must be >= 1, got {dim}; it is the number of features")


def _ones(like: Tensor) -> Tensor:
    return torch.ones_like(like)[:, None]


def _sum_to_zero(size: int) -> Tensor:
    """Return an orthonormal basis of the vectors that sum to 0, as columns (size, size - 1): Helmert's."""
    j = torch.arange(1, size, dtype=torch.float64)
    rows = torch.arange(size, dtype=torch.float64)[:, None]
    signs = torch.where(rows < j, 1.0, torch.where(rows == j, -j, 0.0))
    return signs / (j * (j + 1)).sqrt()


def _orthonormal(rows: int, columns: int, generator: torch.Generator | None) -> Tensor:
    """Return random orthonormal columns (rows, columns), every orientation alike."""
    q, r = torch.linalg.qr(torch.randn(rows, columns, dtype=torch.float64, generator=generator, device="cpu"))
    oriented: Tensor = q * torch.where(r.diagonal() < 0, -1.0, 1.0)
    return oriented


def _checked(frame: Tensor, deviations: Tensor) -> Tensor:
    worst = float(deviations.abs().max())
    if not worst < TOLERANCE:
        raise ArithmeticError(
            f"frame of {len(frame)} vectors in {frame.shape[1]} dimensions is off its definition by {worst:.1e}; "
            "report it with the version of torch"
        )
    return frame
