"""Losses of candidate sets: each row has a set of classes, one of which is true. Per example, not reduced."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import widen


def candidate_likelihood(logits: Tensor, candidates: Tensor) -> Tensor:
    """l(z, S) = -log sum_{k in S} softmax(z)_k, from log-probabilities by log-sum-exp.

    A set of one class gives cross-entropy, the set of all classes 0. The gradient in z is softmax(z) - q, with
    q = softmax(z) on S, renormalised (`candidate_posterior`): that of cross-entropy with the soft target q.

    Args:
        logits: (N, C).
        candidates: S, (N, C) bool, at least one class a row.

    Returns:
        (N,), float32 or wider.

    Reference: Feng et al., Provably Consistent Partial-Label Learning, NeurIPS 2020, the loss of CC.
    """
    return -torch.logsumexp(_on(torch.log_softmax(widen(logits), 1), candidates), 1)


def candidate_posterior(logits: Tensor, candidates: Tensor) -> Tensor:
    """Return q_k = softmax(z)_k [k in S] / sum_{j in S} softmax(z)_j, (N, C); rows sum to 1 whatever the logits.

    Args:
        logits, candidates: as in `candidate_likelihood`.
    """
    return torch.softmax(_on(widen(logits), candidates), 1)


def _on(values: Tensor, candidates: Tensor) -> Tensor:
    return values.masked_fill(~candidates, -torch.inf)
