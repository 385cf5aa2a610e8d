"""The class prior of a method's scores, as its weights, its sampler or its loss derive it from the training counts.

softmax(scores) estimates p(y | x) under this prior, so far as the loss is a proper scoring rule, which focal and margin
losses are not. Weights w_j and draws q_j change the share of class j to n_j w_j and q_j; the logit-adjusted loss leaves
pi^(1 - tau). Deferred weights and draws count as if training had converged under them; after a short last part with a
small learning rate it has not, and the truth is in between. `Predictor.probabilities` converts from this prior to the
one requested.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from longtail.facts.class_weights import effective_number, named
from longtail.facts.resampled_counts import lowered, raised

Implied = Callable[[Tensor], Tensor]
"""Class counts (C,) -> shares (C,) up to a factor."""


def uniform(counts: Tensor) -> Tensor:
    """Return equal shares: class-balanced draws, balanced class weights, logit adjustment at tau = 1."""
    return torch.ones_like(counts, dtype=torch.float64)


def power(exponent: float) -> Implied:
    """Return counts -> n_j^exponent: draws or losses that keep a part of the prior."""
    return lambda counts: counts.double() ** exponent


def weighted(name: str, at: float = 0.0) -> Implied:
    """Return counts -> n_j w_j for class weights by name, applied from progress `at` on; progress is below 1."""
    if at >= 1:
        return lambda counts: counts.double()
    return lambda counts: counts.double() * named(name, counts, dtype=torch.float64)


def effective(beta: float) -> Implied:
    """Return counts -> n_j w_j for effective-number weights, also the draws of `EffectiveNumberSampler`."""
    return lambda counts: counts.double() * effective_number(counts, beta, dtype=torch.float64)


def subset(ratio: float) -> Implied:
    """Return min(n_j, ratio n_min): rows of a random subset (`UnderSampler`), not floored where counts are weights."""

    def shares(counts: Tensor) -> Tensor:
        n = counts.double()
        largest = ratio * n[n > 0].min()
        whole = bool((n == n.floor()).all())
        return n.clamp(max=float(largest.floor() if whole else largest))

    return shares


def resampled(over: float | None, under: float | None) -> Implied:
    """Return the rows of each class after over- and then under-sampling to these ratios (`facts.resampled_counts`).

    Args:
        over: rows of the smallest class by those of the largest after the first; None leaves it out.
        under: the same after the second.
    """

    def shares(counts: Tensor) -> Tensor:
        n = counts.double().numpy()
        n = n if over is None else raised(n, over)
        return torch.from_numpy(n if under is None else lowered(n, under))

    return shares


def times(base: Implied | None, shares: Implied) -> Implied:
    """Return the prior of a base (None: the counts) once weights or draws change n_j to `shares`."""
    return shares if base is None else lambda counts: base(counts) * shares(counts) / counts.double()
