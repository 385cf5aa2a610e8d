"""Newton's method in a trust region for the dual of the projection on class totals (`functional.class_totals`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

CPU_BLOCK, GPU_BLOCK = 200_000, 16_000_000
"""Numbers that are processed together: so many stay in the cache of a core."""
UNDERFLOW = {torch.float64: -300.0, torch.float32: -40.0}
"""Exponents below it give 0, so that neither a factor nor a product of two is subnormal, which would be slow."""
ROUNDING = {torch.float64: 1e-14, torch.float32: 1e-6}
"""Relative error of the sum that a value of the dual is."""
SMALLEST = 1e-6
"""Total, in rows, of a class whose difference is relative to it; that of a rarer one is relative to this."""
LARGE, ROUGH = 500_000, 1e-3
"""Numbers from which on the first iterations, to this residual, are in single precision: four times as fast."""
DIRECT = 40
"""Iterations with all weights as they are, before weights are capped."""
RAISED = 10.0
"""Factor between two caps."""
CHECKED = 15
"""Iterations between two checks whether the totals can be reached."""


class Point(NamedTuple):
    """The negated dual at b: its value and the error of that, columns sum_m y_mk (K,), second derivatives (K, K)."""

    value: float
    error: float
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
        logs: log p (M, K), -inf for zeros; float64, or float32 for a rough solution.
        inverse: 1 / w (M,), of that type.
        totals: M_k (K,) float64 > 0 on the CPU.
    """

    def __init__(self, logs: Tensor, inverse: Tensor, totals: Tensor) -> None:
        self.logs, self.inverse, self.totals = logs, inverse, totals

    def _blocks(self, b: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield y, log sum_k p_mk exp(b_k / w_m) and 1 / w of some rows."""
        rows = max((GPU_BLOCK if self.logs.is_cuda else CPU_BLOCK) // len(b), 1)
        row = b.to(self.logs)[None]
        for logs, inverse in zip(torch.split(self.logs, rows), torch.split(self.inverse, rows), strict=True):
            y = torch.addmm(logs, inverse[:, None], row)
            largest = y.amax(1, keepdim=True)
            y.sub_(largest)
            torch.threshold_(y, UNDERFLOW[y.dtype], -math.inf).exp_()
            total = y.sum(1, keepdim=True)
            yield y.div_(total), (total.log() + largest)[:, 0], inverse

    def at(self, b: Tensor) -> Point:
        """Return value, columns and curvature, sum_m (diag(y_m) - y_m y_m^T) / w_m."""
        value, size, columns = (torch.zeros(n, dtype=torch.float64, device=self.logs.device) for n in ((), (), len(b)))
        products = self.logs.new_zeros(len(b), len(b))
        for y, height, inverse in self._blocks(b):
            value += (height / inverse).sum(dtype=torch.float64)
            size += ((1 + height.abs()) / inverse).sum(dtype=torch.float64)
            columns += y.sum(0, dtype=torch.float64)
            products.addmm_((y * inverse[:, None]).T, y)
        products, linear = products.double().cpu(), float(b @ self.totals)
        error = ROUNDING[self.logs.dtype] * (float(size) + abs(linear))
        return Point(float(value) - linear, error, columns.cpu(), products.sum(1).diag() - products)

    def labels(self, b: Tensor) -> Iterator[Tensor]:
        """Yield y of some rows, (.., K), then of the next ones."""
        yield from (y for y, _, _ in self._blocks(b))

    def slope(self, point: Point) -> Tensor:
        """Return the gradient (K,), whose sum is 0: rounding of the largest class would drown that of small ones."""
        slope = point.columns - self.totals
        slope[self.totals.argmax()] -= slope.sum()
        return slope

    def residual(self, slope: Tensor) -> float:
        """Return max_k |slope_k| / M_k, M_k at least `SMALLEST` in the denominator."""
        return float((slope.abs() / self.totals.clamp(min=SMALLEST)).max())


def minimum(
    dual: Dual, start: Tensor, tolerance: float, max_iterations: int, check: Callable[[Tensor], None]
) -> Minimum:
    """Return where the residual is at most the tolerance, or where the iterations ended: `descent`, twice if need be.

    Many labels are first solved roughly, in single precision, which decides where a search in double precision begins.
    Weights that span many orders of magnitude can make the dual so nearly piecewise linear that the steps are short.
    Then the same is solved roughly with weights capped near the smallest, and with higher and higher caps from there.

    Arguments as of `descent`.
    """
    begun = 0
    if dual.logs.numel() > LARGE and max_iterations > DIRECT:
        single = Dual(dual.logs.float(), dual.inverse.float(), dual.totals)
        rough = descent(single, start, ROUGH, DIRECT, lambda b: None)
        start, begun = (rough.multipliers, rough.iterations) if rough.residual < 0.1 else (start, rough.iterations)
    found = descent(dual, start, tolerance, min(max_iterations, DIRECT), check)
    found = found._replace(iterations=found.iterations + begun)
    if found.residual <= tolerance or found.iterations >= max_iterations:
        return found
    b, iterations = found.multipliers, found.iterations
    cap, most = RAISED / float(dual.inverse.max()), 1 / float(dual.inverse.min())
    if cap < most:
        b = torch.zeros_like(b)
    while cap < most and iterations < max_iterations:
        capped = Dual(dual.logs, dual.inverse.clamp(min=1 / cap), dual.totals)
        rough = descent(capped, b, 0.1, min(DIRECT, max_iterations - iterations), check)
        b, iterations, cap = rough.multipliers, iterations + rough.iterations, cap * RAISED
    final = descent(dual, b, tolerance, max(max_iterations - iterations, 1), check)
    return final._replace(iterations=iterations + final.iterations)


def descent(
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
    slope, iterations = dual.slope(now), 1
    radius = math.sqrt(len(b)) / float(dual.inverse.mean())  # the unit of b is that of the weights
    while dual.residual(slope) > tolerance and iterations < max_iterations:
        step = _step(now.curvature, slope, radius)
        new = dual.at(b + step)
        ahead = dual.slope(new)
        iterations += 1
        before, after = float(slope @ step), float(ahead @ step)
        gain, foreseen = now.value - new.value, -before - float(step @ now.curvature @ step) / 2
        if abs(gain) <= now.error + new.error:
            gain = -(before + after) / 2  # by the slopes, which are exact where the step is short
        if gain < 0.25 * foreseen:
            radius = float(step.norm()) * (min(max(before / (before - after), 0.05), 0.5) if after > 0 else 0.5)
        elif gain > 0.5 * foreseen:
            radius = max(radius, 4 * float(step.norm()))
        if gain > 1e-4 * foreseen:
            b, now, slope = b + step, new, ahead
        if iterations % CHECKED == 0:
            check(b)
    residual = dual.residual(slope)
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
    move: Tensor = vectors @ x
    return move
