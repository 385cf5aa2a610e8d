"""Losses of pairs that are known to belong together, for rows that are mixtures of two. Per anchor, not reduced."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import Value, widen
from longtail.functional.similarity import check_temperature, full_precision, similarities, unit

EPS = 1e-7


def pair_contrast(
    anchors: Tensor,
    candidates: Tensor,
    own: Tensor,
    partners: Tensor,
    share: Tensor,
    allowed: Tensor,
    t: Value = 0.1,
) -> Tensor:
    """Contrast of mixed rows: the mean outside of the logarithm, over the positives of either row of the mixture.

    l_a = -share_a mean_{b in own(a)} log q_ab - (1 - share_a) mean_{b in partners(a)} log q_ab
    q_ab = exp(s_ab / t) / sum_{k allowed(a)} exp(s_ak / t), s cosines

    Args:
        anchors: (A, D), not normalised.
        candidates: (K, D), not normalised.
        own: (A, K) bool, the positives of the row that the anchor is mostly of.
        partners: (A, K) bool, those of the row that is mixed with it.
        share: (A,) of the first row, in [0, 1].
        allowed: (A, K) bool, the candidates that there are; only these can be positives.
        t: temperature > 0.

    Returns:
        (A,), float32 or wider; the part of a row without positives is 0.

    Reference: Li et al., CVPR 2022, after Ortego et al. 2021 for the mixtures.
    """
    check_temperature(t)
    with full_precision(anchors):
        similar = similarities(unit(anchors), unit(candidates), t).masked_fill(~allowed, -torch.inf)
        total = similar.logsumexp(1, keepdim=True)
        log_q = torch.where(allowed, similar - total, 0.0)
        share = share.to(log_q.dtype)
        return -share * _mean(log_q, own & allowed) - (1 - share) * _mean(log_q, partners & allowed)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, values, 0.0).sum(1) / mask.sum(1).clamp(min=1)


def pair_similarity(
    anchors: Tensor, candidates: Tensor, own: Tensor, partners: Tensor, share: Tensor, allowed: Tensor
) -> Tensor:
    """How well products of predicted probabilities tell the positives from the others: binary cross-entropy.

    l_a = (1 / K) sum_{b allowed(a)} share_a h(s_ab, own_ab) + (1 - share_a) h(s_ab, partners_ab)
    h(s, y) = -y log(s + 1e-7) - (1 - y) log(1 - s + 1e-7), s_ab = sum_j p_aj p_bj

    Args:
        anchors, candidates: probabilities (A, C) and (K, C).
        own, partners, share, allowed: as in `pair_contrast`.

    Returns:
        (A,), float32 or wider.

    Reference: as `pair_contrast`.
    """
    with full_precision(anchors):
        s = (widen(anchors) @ widen(candidates).T).clamp(max=1)
        same, other = -(s + EPS).log(), -(1 - s + EPS).log()
        share = share.to(s.dtype)[:, None]
        terms = share * torch.where(own, same, other) + (1 - share) * torch.where(partners, same, other)
        return torch.where(allowed, terms, 0.0).mean(1)
