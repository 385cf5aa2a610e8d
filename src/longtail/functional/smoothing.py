"""Label smoothing whose strength depends on the size of the class. Shapes as in `softmax`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from longtail.facts.counts import positive_counts
from longtail.functional.mixtures import IGNORE, across, is_soft, of_target, smoothed

SHAPES = ("concave", "linear", "convex", "exp")
"""How the strength falls from the largest class to the smallest; see `smoothing_strengths`."""


def smoothing_strengths(
    counts: Any,
    head: float,
    tail: float,
    shape: str = "concave",
    power: float = 2.0,
    *,
    zero_count: str | float = "error",
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Strength e_j in [0, 1] of every class (C,): `tail` for the smallest class, `head` for the largest.

    u_j = (n_j - n_min) / (n_max - n_min), and 1 for all where n_max = n_min, so that equal classes have `head`.

    concave: tail + (head - tail) sin(pi u / 2); linear: tail + (head - tail) u;
    convex: head + (head - tail) sin(3 pi / 2 + pi u / 2); exp: tail + (head - tail) u^power.

    Args:
        counts: class counts n (C,).
        head, tail: the strengths at both ends.
        shape: one of SHAPES.
        power: read by shape "exp".
        zero_count: what an empty class means; with "mask" it has the strength `tail` and is no minimum.
        dtype: of the result.

    Reference: Zhong et al., Improving Calibration for Long-Tailed Recognition, CVPR 2021; shapes as in their
    code.
    """
    n = positive_counts(counts, zero_count)
    smallest = n[n > 0].min()
    size = n.max() - smallest
    u = ((n - smallest) / size).clamp(min=0) if size > 0 else (n > 0).to(n.dtype)
    rise = {
        "concave": lambda: torch.sin(math.pi * u / 2),
        "linear": lambda: u,
        "convex": lambda: 1 - torch.cos(math.pi * u / 2),
        "exp": lambda: u.pow(power),
    }[shape]()
    return (tail + (head - tail) * rise).to(dtype or torch.get_default_dtype())


def class_smoothed(targets: Tensor, strengths: Tensor, like: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Return the target (1 - e_y) onehot(y) + e_y / C; of a soft target q, the mixture sum_k q_k of these.

    Args:
        targets: class indices (N, d1..dk) or soft targets (N, C, d1..dk).
        strengths: e (C,).
        like: logits (N, C, d1..dk).
        ignore_index: the index that marks a position as ignored; its target is 0 everywhere.
    """
    size = like.shape[1]
    if is_soft(targets):
        e = across(strengths, like)
        return (1 - e) * targets + (e * targets).sum(1, keepdim=True) / size
    e = of_target(strengths.to(like.device, like.dtype), targets, ignore_index).unsqueeze(1)
    hot = smoothed(targets, size, 0.0, like.dtype, ignore_index)
    return (1 - e) * hot + e / size * (targets != ignore_index).unsqueeze(1)
