"""The class prior of largest likelihood, for many resamples at once: expectation maximisation with extrapolation."""

from __future__ import annotations

import torch
from torch import Tensor

CYCLES = 1000
"""Of three updates each, at most."""


def likeliest_priors(
    probs: Tensor, old: Tensor, weight: Tensor, start: Tensor, pseudo: Tensor, *, tolerance: float, cycles: int = CYCLES
) -> tuple[Tensor, bool]:
    """Return for each of B resamples the prior q (B, C) with the largest likelihood, and whether all are there.

    update: q_k <- (sum_i w_i p_ik (q_k / old_k) / sum_j p_ij q_j / old_j + pseudo_k) / (sum_i w_i + sum_k pseudo_k)

    Two updates and an extrapolation along them (SQUAREM), which is kept where its likelihood is not lower, so that the
    likelihood never falls. A resample is there when an update moves no share by more than the tolerance.

    Args:
        probs: p (N, C) of all resamples, or (B, N, C), float64.
        old: (B, C), the prior that p refers to.
        weight: w (B, N), how often each row counts.
        start: (1, C) or (B, C), > 0.
        pseudo: (C,) rows that are added to every class.
        tolerance: > 0.
        cycles: at most.

    Reference: Varadhan and Roland 2008, "Simple and Globally Convergent Methods for Accelerating the Convergence of Any
    EM Algorithm", scheme S3.
    """
    result = start.expand(len(weight), -1).clone()
    going, q = torch.arange(len(weight)), result.clone()
    tiny = torch.finfo(probs.dtype).tiny
    for _ in range(cycles):
        first, _ = _updated(q, probs, old, weight, pseudo)
        second, value = _updated(first, probs, old, weight, pseudo)
        result[going] = second
        moving = (second - first).abs().amax(1) > tolerance
        if not bool(moving.all()):
            going, old, weight = going[moving], old[moving], weight[moving]
            q, first, second, value = q[moving], first[moving], second[moving], value[moving]
            probs = probs if probs.ndim == 2 else probs[moving]
        if not len(going):
            return result, True
        r, v = first - q, second - 2 * first + q
        alpha = -(r.norm(dim=1) / v.norm(dim=1).clamp(min=tiny)).clamp(min=1.0)[:, None]
        ahead = (q - 2 * alpha * r + alpha.square() * v).clamp(min=tiny)
        ahead = ahead / ahead.sum(1, keepdim=True)
        ahead, at = _updated(ahead, probs, old, weight, pseudo)
        q = torch.where((at >= value)[:, None], ahead, second)
    return result, False


def _updated(q: Tensor, probs: Tensor, old: Tensor, weight: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
    """Return the updated prior (B, C), and the log-likelihood (B,) before."""
    tiny = torch.finfo(probs.dtype).tiny
    ratio, one = q / old, probs.ndim == 2
    evidence = (ratio @ probs.mT if one else (probs * ratio[:, None]).sum(2)).clamp(min=tiny)
    value = (weight * evidence.log()).sum(1) + torch.special.xlogy(pseudo, q.clamp(min=tiny)).sum(1)
    back = weight / evidence
    moved = ratio * (back @ probs if one else (probs * back[..., None]).sum(1)) + pseudo
    return moved / moved.sum(1, keepdim=True), value
