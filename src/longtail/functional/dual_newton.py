"""Newton's method in a trust region for the dual of the projection on class totals (`functional.class_totals`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

CPU_BLOCK, GPU_BLOCK = 200_000, 16_000_000
"""Numbers that are processed together: so many stay in the cache of a core."""
UNDERFLOW = -300.0
"""Exponents below it give 0, so that neither a factor nor a product of two is subnormal, which would be slow."""
ROUNDING = 1e-12
"""Relative difference of two values of the dual that is rounding."""
CHECKED = 15
"""Iterations between two checks whether the totals can be reached."""


class Point(NamedTuple):
    """The negated dual at b: its value, its columns sum_m y_mk (K,), and its second derivatives (K, K)."""

    value: float
    columns: Tensor
    curvature: Tensor


class Minimum(NamedTuple):
    """Where the search ended."""

    multipliers: Tensor
    residual: float
    iterations: int


class Dual:
    """f(b) = sum_m w_m log sum_k p_mk exp(b_k / w_m) - b.M, convex; its gradient is sum_m y_mk - M_k.

    Adding a number to all b_k changes nothing.

    Args:
        logs: log p (M, K) float64, -inf for zeros.
        inverse: 1 / w (M,) float64.
        totals: M_k (K,) float64 > 0 on the CPU.
    """

    def __init__(self, logs: Tensor, inverse: Tensor, totals: Tensor) -> None:
        self.logs, self.inverse, self.totals = logs, inverse, totals

    def _blocks(self, b: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield y, log sum_k p_mk exp(b_k / w_m) and 1 / w of some rows."""
        rows = max((GPU_BLOCK if self.logs.is_cuda else CPU_BLOCK) // len(b), 1)
        row = b.to(self.logs.device)[None]
        for logs, inverse in zip(self.logs.split(rows), self.inverse.split(rows), strict=True):
            y = torch.addmm(logs, inverse[:, None], row)
            largest = y.amax(1, keepdim=True)
            y.sub_(largest)
            y.masked_fill_(y < UNDERFLOW, -math.inf).exp_()
            total = y.sum(1, keepdim=True)
            yield y.div_(total), (total.log() + largest)[:, 0], inverse

    def at(self, b: Tensor) -> Point:
        """Return value, columns and curvature, sum_m (diag(y_m) - y_m y_m^T) / w_m."""
        value = self.logs.new_zeros(())
        columns, products = self.logs.new_zeros(len(b)), self.logs.new_zeros(len(b), len(b))
        for y, height, inverse in self._blocks(b):
            value += (height / inverse).sum()
            columns += y.sum(0)
            products.addmm_((y * inverse[:, None]).T, y)
        products = products.cpu()
        return Point(float(value) - float(b @ self.totals), columns.cpu(), products.sum(1).diag() - products)

    def labels(self, b: Tensor) -> Tensor:
        """Return y (M, K) float64."""
        return torch.cat([y for y, _, _ in self._blocks(b)])

    def residual(self, columns: Tensor) -> float:
        """Return max_k |columns_k - M_k| / M_k."""
        return float(((columns - self.totals).abs() / self.totals).max())


def minimum(
    dual: Dual, start: Tensor, tolerance: float, max_iterations: int, check: Callable[[Tensor], None]
) -> Minimum:
    """Return where the residual is at most the tolerance, or where the iterations ended.

    A step minimises the quadratic model within a radius, which grows where the model is good and shrinks to the
    minimum along the step where it is not: rows of large weight make the dual nearly piecewise linear.

    Args:
        dual: the function.
        start: multipliers (K,).
        tolerance: of the residual.
        max_iterations: >= 1.
        check: multipliers -> raises where the totals cannot be reached; called now and then, and at the end.
    """
    b, now = start, dual.at(start)
    residual, iterations = dual.residual(now.columns), 1
    radius = math.sqrt(len(b)) / float(dual.inverse.mean())  # the unit of b is that of the weights
    while residual > tolerance and iterations < max_iterations:
        slope = now.columns - dual.totals
        step = _step(now.curvature, slope, radius)
        new = dual.at(b + step)
        iterations += 1
        gain, foreseen = now.value - new.value, -float(slope @ step + step @ now.curvature @ step / 2)
        slack = ROUNDING * (abs(now.value) + abs(new.value))
        better = dual.residual(new.columns)
        good = gain / foreseen if abs(gain) > slack and foreseen > 0 else 1.0
        length = float(step.norm())
        if good < 0.25:
            before, after = float(slope @ step), float((new.columns - dual.totals) @ step)
            radius = length * (min(max(before / (before - after), 0.05), 0.5) if after > 0 else 0.5)
        elif good > 0.5:
            radius = max(radius, 4 * length)
        if gain > slack + 1e-4 * max(foreseen, 0.0) or (gain > -slack and better < residual):
            b, now, residual = b + step, new, better
        if iterations % CHECKED == 0:
            check(b)
    if residual > tolerance:
        check(b)
    return Minimum(b, residual, iterations)


def _step(curvature: Tensor, slope: Tensor, radius: float) -> Tensor:
    """Return the step of length at most `radius` that minimises slope.x + x.curvature.x / 2."""
    scale = curvature.trace() / len(slope)
    values, vectors = torch.linalg.eigh(curvature + scale / len(slope))  # the constant direction: not flat any more
    falls = -(vectors.T @ slope)
    values = values.clamp(min=0) + max(1e-15 * float(values[-1]), 1e-12 * float(falls.norm()) / radius)
    x, shift = falls / values, 0.0
    for _ in range(100):
        length = float(x.norm())
        if length <= radius if shift == 0 else abs(length - radius) <= 0.1 * radius:
            break
        growth = float((falls**2 / (values + shift) ** 3).sum()) / length
        shift = max(0.0, shift + (length - radius) / growth * (length / radius))
        x = falls / (values + shift)
    return vectors @ x
