"""Isotonic calibration: for a class with many rows, any rising curve from its probability to its frequency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from longtail.posthoc.calibration.rows import Rows
from longtail.posthoc.calibration.scaling import Calibration

TOTAL, EACH = 1000, 100
"""A class has its own curve from 1000 rows on, as scikit-learn advises, 100 of them of the class and 100 of others:
a curve then has about five levels (they grow as the cube root of n), each known to a fifth of its value."""


@final
class IsotonicCalibration(Calibration):
    """A rising step function for every class with enough rows, one class against the rest, rows normalised.

    p'_c = ((1 - w) f_c(p_c) + w t_c) / sum over classes
    f_c = argmin over rising f of sum_i w_i (f(p_ic) - 1[y_i = c])^2

    t is the probability of `TemperatureScaling` and w = 1 / (n + 1) as there, so that nothing becomes 0; between its
    steps f is linear, beyond them constant. A class has a curve from 1000 rows on, 100 of them of the class and 100 of
    others; each other class has t_c in place of f_c. Scores within a level become equal: ranks are not kept.

    Args:
        num_classes: C.

    Reference: Zadrozny and Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates".
    """

    name = "isotonic"
    knots: Tensor
    levels: Tensor
    sizes: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.register_buffer("knots", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("levels", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("sizes", torch.zeros(num_classes, dtype=torch.int64))

    def _refine(self, rows: Rows) -> None:
        device, probs = self.knots.device, rows.log_probs.exp()
        curves, sizes = [], torch.zeros(self.num_classes, dtype=torch.int64)
        for c in torch.nonzero(with_curve(rows.counts)).flatten().tolist():
            curve = rising(probs[:, c], (rows.targets == c).double(), rows.weight)
            curves.append(curve)
            sizes[c] = curve.shape[1]
        joined = torch.cat(curves, 1) if curves else torch.zeros(2, 0, dtype=torch.float64)
        self.knots, self.levels = joined[0].to(device), joined[1].to(device)
        self.sizes.copy_(sizes)

    def _calibrated(self, z: Tensor) -> Tensor:
        logs = self._tempered(z)
        probs, result, start = z.exp(), logs.exp(), 0
        knots, levels, share = self.knots.to(z.device), self.levels.to(z.device), self.mixing.to(z.device)
        for c, size in enumerate(self.sizes.tolist()):
            if size:
                curve = knots[start : start + size], levels[start : start + size]
                result[:, c] = (1 - share) * _between(probs[:, c], *curve) + share * result[:, c]
                start += size
        return (result / result.sum(1, keepdim=True)).log()

    @property
    def words(self) -> str:
        """What it is and what it was fitted on, in words."""
        own, rows = int((self.sizes > 0).sum()), int(self.counts.sum().round())
        others = self.num_classes - own
        rest = f"; {others} with too few rows by a temperature (T = {self.temperature:.3g})" if others else ""
        return f"isotonic calibration of {own} of {self.num_classes} classes, fitted on {rows} validation rows{rest}"

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("knots", "levels"):
            if (saved := state_dict.get(f"{prefix}{name}")) is not None:
                setattr(self, name, torch.empty_like(saved, device=self.knots.device))  # of its length; filled below
        super()._load_from_state_dict(state_dict, prefix, *rest)


def with_curve(counts: Tensor) -> Tensor:
    """Return which classes (C,) have enough rows for a curve of their own, from the rows per class."""
    total = counts.sum()
    return (total >= TOTAL) & (counts >= EACH) & (total - counts >= EACH)


def rising(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return the knots and levels (2, K) of the rising function with the smallest sum of w (f(x) - y)^2.

    Neighbours that violate the order are pooled into their weighted mean (PAVA); equal x are one point. Each level has
    its first and its last point as knots.
    """
    points, place = torch.unique(x, return_inverse=True)
    total = torch.zeros_like(points).index_add(0, place, weight)
    sums = torch.zeros_like(points).index_add(0, place, weight * y)
    blocks: list[tuple[float, float, int, int]] = []  # sum of w y, sum of w, first and last point
    for i, (s, w) in enumerate(zip(sums.tolist(), total.tolist(), strict=True)):
        block = (s, w, i, i)
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2], i)
        blocks.append(block)
    ends = [(j, s / w) for s, w, first, last in blocks for j in ((first, last) if last > first else (first,))]
    index = torch.tensor([j for j, _ in ends])
    return torch.stack([points[index], torch.tensor([level for _, level in ends], dtype=points.dtype).clamp(0, 1)])


def _between(x: Tensor, knots: Tensor, levels: Tensor) -> Tensor:
    """Return the linear interpolation at x (N,), constant outside of the knots."""
    if len(knots) == 1:
        return levels.expand_as(x)
    right = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
    left = right - 1
    along = ((x - knots[left]) / (knots[right] - knots[left])).clamp(0, 1)
    return torch.lerp(levels[left], levels[right], along)
