"""The temperature: one number that makes confidence as high as it should be, found where the log loss is smallest."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from longtail.posthoc.calibration.rows import Rows

BRACKET = (math.exp(-16.0), math.exp(16.0))
"""Of b = 1 / T: rows that all are classified rightly have no smallest loss, and end where it is 0 in float64."""
STEPS = 200
PRECISION = 1e-14
FLAT = 1e-12
"""Rows whose log-probabilities differ by no more say nothing of T."""


def inverse_temperature(rows: Rows) -> float:
    """Return b = 1 / T with the smallest mean log loss of softmax(b z).

    g(b) = sum_i w_i (<z_i, softmax(b z_i)> - z_iy), g'(b) = sum_i w_i Var_softmax(b z_i)(z_i) >= 0

    The loss is convex in b, so b is the root of its derivative g: Newton's steps inside a bracket, and a bisection of
    log b where a step leaves it or g does not halve. Rows without information (all probabilities equal) leave b = 1.
    """
    z, w = rows.log_probs, rows.weight
    if float((z.amax(1) - z.amin(1)).max()) <= FLAT:
        return 1.0
    own = float((w * z.gather(1, rows.targets[:, None])[:, 0]).sum())
    (low, high), b, last = BRACKET, 1.0, math.inf
    for _ in range(STEPS):
        p = (b * z).softmax(1)
        mean = (p * z).sum(1)
        g = float((w * mean).sum()) - own
        slope = float((w * (p * (z - mean[:, None]).square()).sum(1)).sum())
        if g == 0.0:
            return b
        low, high = (b, high) if g < 0 else (low, b)
        step = b - g / slope if slope > 0 else math.nan
        good = low < step < high and abs(g) <= last / 2
        new = step if good else math.sqrt(low * high)
        if abs(new - b) <= PRECISION * b or high <= low * (1 + PRECISION):
            return new
        b, last = new, abs(g)
    return b


def tempered(log_probs: Tensor, b: Tensor | float, share: Tensor | float) -> Tensor:
    """Return log((1 - share) softmax(b z) + share / C) (N, C): a temperature, mixed with a little of the uniform.

    Args:
        log_probs: z (N, C), float64.
        b: 1 / T.
        share: in (0, 1); 1 / (n + 1) of n rows keeps the loss of a row that none of them was like finite.
    """
    share = torch.as_tensor(share, dtype=log_probs.dtype)
    scaled = (b * log_probs).log_softmax(1)
    floor = (share / log_probs.shape[1]).log()
    return torch.logaddexp(scaled + torch.log1p(-share), floor)
