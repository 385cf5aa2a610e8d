"""Losses of candidate sets: each row has a set of classes, one of which is true. Per example, not reduced."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.adjusted import log_odds_against
from longtail.functional.mixtures import Value, widen


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


def candidate_activation(logits: Tensor, candidates: Tensor) -> Tensor:
    """Return 1.0 for the candidate of the largest class activation value v_k = |z_k - 1| z_k, 0.0 elsewhere, (N, C).

    The arg-max is among the candidates alone, whatever the signs of their values.

    Args:
        logits, candidates: as in `candidate_likelihood`.

    Reference: Zhang et al., Exploiting Class Activation Value for Partial-Label Learning, ICLR 2022.
    """
    z = widen(logits)
    largest = _on((z - 1).abs() * z, candidates).argmax(1, keepdim=True)
    return torch.zeros_like(z).scatter(1, largest, 1.0)


def leverage_weights(logits: Tensor, candidates: Tensor) -> Tensor:
    """Return softmax(z) on the candidates, renormalised, and minus softmax(z) on the other classes, renormalised.

    (N, C): the candidates sum to 1, the other classes to -1, or to 0 where every class is a candidate.

    Args:
        logits, candidates: as in `candidate_likelihood`.

    Reference: Wen et al., Leveraged Weighted Loss for Partial Label Learning, ICML 2021.
    """
    outside = candidate_posterior(logits, ~candidates | candidates.all(1, keepdim=True))
    return torch.where(candidates, candidate_posterior(logits, candidates), -outside)


def leveraged_loss(logits: Tensor, weights: Tensor, beta: Value = 1.0, *, form: str = "sigmoid") -> Tensor:
    """l = sum_{k in S} w_k psi(z_k) + beta sum_{k not in S} w_k psi(-z_k), the leveraged weighted loss; (N,).

    psi(z) = sigmoid(-z) with form "sigmoid"; with "cross-entropy" psi(z_k) = -log p_k and psi(-z_k) = -log(1 - p_k),
    p = softmax(z), each finite with its gradient.

    Args:
        logits: (N, C).
        weights: (N, C), w_k for a candidate and -w_k for another class, as of `leverage_weights`.
        beta: >= 0.
        form: "sigmoid" or "cross-entropy".

    Reference: Wen et al., Leveraged Weighted Loss for Partial Label Learning, ICML 2021.
    """
    z = widen(logits)
    w = weights.to(z.dtype)
    inside, outside = w.clamp(min=0), (-w).clamp(min=0)
    if form == "sigmoid":
        return (inside * torch.sigmoid(-z) + beta * outside * torch.sigmoid(z)).sum(1)
    return (inside * -torch.log_softmax(z, 1) + beta * outside * log_not(z)).sum(1)


def consistent_candidates(views: Tensor, q: Tensor, candidates: Tensor, consistency: Value = 1.0) -> Tensor:
    """l = sum_v [sum_{k not in S} -log(1 - p_vk) + consistency KL(q || p_v)], p_v = softmax(z_v) of each view; (N,).

    Args:
        views: z (N, V, C), the logits of V views of each row.
        q: confidences (N, C), 0 outside of S, without a gradient.
        candidates: S, (N, C) bool.
        consistency: >= 0.

    Reference: Wu et al., Revisiting Consistency Regularization for Deep Partial Label Learning, ICML 2022.
    """
    z = widen(views)
    classes = z.transpose(1, 2)
    outside = log_not(classes).masked_fill(candidates[:, :, None], 0.0).sum((1, 2))
    q = q.to(z.dtype)
    divergence: Tensor = torch.special.xlogy(q, q)[:, None] - q[:, None] * torch.log_softmax(z, 2)
    return outside + consistency * divergence.sum((1, 2))


def log_not(logits: Tensor) -> Tensor:
    """-log(1 - p_k) for every class k, p = softmax(z); (N, C, d1..dk)."""
    return F.softplus(-log_odds_against(widen(logits)), threshold=40)


def _on(values: Tensor, candidates: Tensor) -> Tensor:
    return values.masked_fill(~candidates, -torch.inf)
