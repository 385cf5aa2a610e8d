"""Which class prior a method's scores speak of: what its weights, its sampler or its loss make of the training counts.

softmax(scores) estimates p(y | x) under this prior, so far as the loss is a proper scoring rule, which focal and margin
losses are not. Weights w_j and draws q_j change the share of class j to n_j w_j and q_j; the logit-adjusted loss leaves
pi^(1 - tau). Deferred weights and draws are counted as if training had arrived at them; after a short last part under a
small learning rate it has not, and the truth lies between. `Predictor.probabilities` goes from there to the prior that
is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from longtail.facts.class_weights import effective_number, named

Implied = Callable[[Tensor], Tensor]
"""Class counts (C,) -> shares (C,) up to a factor."""


def uniform(counts: Tensor) -> Tensor:
    """Every class alike: class-balanced draws, balanced class weights, logit adjustment at tau = 1."""
    return torch.ones_like(counts, dtype=torch.float64)


def to_the(power: float) -> Implied:
    """n_j^power: draws or losses that leave a part of the prior."""
    return lambda counts: counts.double() ** power


def weighted(name: str, at: float = 0.0) -> Implied:
    """n_j w_j for class weights by name, in force from progress `at` on; progress never reaches 1."""
    if at >= 1:
        return lambda counts: counts.double()
    return lambda counts: counts.double() * named(name, counts, dtype=torch.float64)


def effective(beta: float) -> Implied:
    """n_j w_j for effective-number weights, which is what `EffectiveNumberSampler` draws, too."""
    return lambda counts: counts.double() * effective_number(counts, beta, dtype=torch.float64)
