"""Kernel density of features, and the weights of rows that follow from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from longtail.functional.similarity import similarities, unit

CENTRES = 8192
"""Of more rows, the kernel is averaged over so many of them, evenly spaced."""
PAIRED = 2048
"""The median distance is that of the pairs among at most so many rows."""
CHUNK = 1024
"""Rows compared with all centres at a time."""


def log_density(features: Tensor, h: float, *, leave_one_out: bool = True, centres: int = CENTRES) -> Tensor:
    """Return log( mean_j exp(-||f_i - f_j||^2 / (2 h^2)) ) of every row (N,), f of length 1.

    The kernel's own factor, the same for all rows, is left out. Time O(N M D), memory O(M) a row, M = min(N, centres).

    Args:
        features: (N, D), of any length; a row of zeros stays.
        h: bandwidth > 0, in units of the distance between rows of length 1.
        leave_one_out: whether the mean leaves out j = i; a row alone has density 0 then, and its logarithm is -inf.
        centres: the largest number of rows j; of more, the mean is over so many evenly spaced ones.

    Raises:
        ValueError: h <= 0, or features that are no matrix.
    """
    if not 0 < h < math.inf:
        raise ValueError(f"h must be > 0 and finite, got {h!r}; it is a distance between rows of length 1")
    f = _matrix(features)
    chosen = _spaced(len(f), centres, f.device)
    found = []
    for rows in torch.split(torch.arange(len(f), device=f.device), CHUNK):
        exponents = -_squared_distances(f[rows], f[chosen]).div(2 * h * h)
        number = torch.full((len(rows),), float(len(chosen)), dtype=f.dtype, device=f.device)
        if leave_one_out:
            own = rows[:, None] == chosen
            exponents = exponents.masked_fill(own, -math.inf)
            number = number - own.sum(1)
        found.append(exponents.logsumexp(1) - number.clamp(min=1).log())
    return torch.cat(found) if found else f.new_zeros(0)


def median_distance(features: Tensor) -> float:
    """Return the median of the distances > 0 between rows of length 1, a usual bandwidth; 1 where all rows are alike.

    Of more than `PAIRED` rows (N, D), that of the pairs of so many evenly spaced ones.
    """
    f = _matrix(features)
    f = f[_spaced(len(f), PAIRED, f.device)]
    squared = _squared_distances(f, f)
    above = torch.ones_like(squared, dtype=torch.bool).triu(1)
    distances = squared[above].sqrt()
    distances = distances[distances > math.sqrt(8 * torch.finfo(f.dtype).eps)]  # of equal rows only rounding is left
    return float(distances.median()) if len(distances) else 1.0


def density_weights(log_densities: Tensor, alpha: float) -> Tensor:
    """Return (density_i)^-alpha of every row (N,), divided by their mean; exactly 1 for alpha = 0.

    A row of density 0 counts as one of the smallest density above 0; where no row has any, all weights are 1.
    """
    dense = torch.isfinite(log_densities)
    if alpha == 0 or not bool(dense.any()):
        return torch.ones_like(log_densities)
    logs = -alpha * log_densities.where(dense, log_densities[dense].min())
    weights = (logs - logs.max()).exp()
    return weights / weights.mean()


def _matrix(features: Tensor) -> Tensor:
    if features.ndim != 2:
        raise ValueError(f"features must have shape (N, D), got {tuple(features.shape)}; one row for each example")
    return unit(features)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return |a - b|^2 = |a|^2 + |b|^2 - 2 ab of rows of length 1, or 0: (A, D), (B, D) -> (A, B)."""
    lengths = [rows.any(1).to(rows.dtype) for rows in (a, b)]
    return (lengths[0][:, None] + lengths[1] - 2 * similarities(a, b, 1.0)).clamp(min=0)


def _spaced(rows: int, most: int, device: torch.device) -> Tensor:
    """Return the numbers of at most so many rows, evenly spaced; all where they are not more."""
    number = min(rows, most)
    return torch.arange(number, device=device) * rows // max(number, 1)
