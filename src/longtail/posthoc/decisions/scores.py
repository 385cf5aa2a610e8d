"""Scores of which the largest decides, one function for every kind of decision, on log-probabilities (N, C) float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from longtail.posthoc.corrections import move_threshold

TIE = 1e-12
"""Share of the largest cost within which classes cost equally much: the more probable one is decided."""
TINY = 1e-300
CERTAIN = 745.0
"""exp(-745) is the smallest float64."""
ALWAYS = 1e6
"""Added where a threshold is 0; log-probabilities are at least -1e4."""


def bayes(log_probs: Tensor, cost: Tensor) -> Tensor:
    """Return minus the expected cost of calling a row a j: -sum_i p_i Cost[i, j] (N, C)."""
    probs = log_probs.exp()
    return -(probs @ cost) + TIE * cost.max() * probs


def row_sums(log_probs: Tensor, cost: Tensor) -> Tensor:
    """Return the moved probabilities of Zhou and Liu, proportional to p_k sum_j Cost[k, j]; see `move_threshold`."""
    return move_threshold(log_probs.softmax(1), cost)


def cut(log_probs: Tensor, positive: int, at: Tensor) -> Tensor:
    """Return scores (N, C) by which a class is decided where its log-odds are at least `at`.

    Of the class: log p - log(1 - p) - at, above 0 from the cut on. Of the others: log p_j - max_i log p_i, so that the
    best has 0 and decides below the cut.
    """
    others = log_probs.clone()
    others[:, positive] = -torch.inf
    odds = log_probs[:, positive] - others.logsumexp(1)
    scores = others - others.amax(1, keepdim=True)
    called, distance = odds >= at, (odds - at).abs().nan_to_num(posinf=torch.inf, nan=0.0).clamp(min=TINY)
    scores[:, positive] = torch.where(called, distance, -distance)
    return scores


def top(log_probs: Tensor, positive: int, most: int) -> Tensor:
    """Return scores (N, C) by which a class is decided for the `most` rows that have it with the highest probability.

    Of equally probable rows those come first that stand first.
    """
    odds = log_probs[:, positive]
    chosen = torch.zeros(len(odds), dtype=torch.bool, device=odds.device)
    chosen[torch.argsort(odds, descending=True, stable=True)[:most]] = True
    others = log_probs.clone()
    others[:, positive] = -torch.inf
    scores = others - others.amax(1, keepdim=True)
    scores[:, positive] = torch.where(chosen, 1.0, -1.0).to(scores)
    return scores


def ratios(log_probs: Tensor, thresholds: Tensor) -> Tensor:
    """Return log(p_j / threshold_j) (N, C): a class with threshold 0 is decided before all with another."""
    shift = torch.where(thresholds > 0, -thresholds.clamp(min=TINY).log(), ALWAYS)
    return log_probs + shift


def logit(p: float) -> float:
    """Return log p - log(1 - p): -inf at 0; at 1 what only a probability has of which no float64 is left to 1."""
    if p <= 0 or p >= 1:
        return -math.inf if p <= 0 else CERTAIN
    return math.log(p) - math.log1p(-p)


def probability(cut: float) -> float:
    """Return the probability with these log-odds, from 0 at -inf to 1 at +inf."""
    return 1 / (1 + math.exp(-cut)) if cut > -700 else 0.0
