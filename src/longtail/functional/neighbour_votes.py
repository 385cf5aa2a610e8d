"""Which labels the nearest neighbours of a row agree with, and the rows and pairs of rows that are chosen by it."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.selection import smallest_by_class
from longtail.functional.similarity import unit

CHUNK = 1024
"""Rows that are compared with all rows at a time: no matrix of all pairs is made."""
CLIP = 0.01
"""Shares of votes are at least this and at most 1 less it."""
PARTNERS = 500
"""Most partners of a row whose similarities the threshold of pairs is computed from."""


def nearest_rows(features: Tensor, k: int) -> Tensor:
    """Return the k rows (N, k) with the largest cosine to each row, but the row itself; k is at most N - 1.

    Args:
        features: (N, D), not normalised; N > 1.
        k: > 0.
    """
    rows = unit(features)
    k, numbers = min(k, len(rows) - 1), torch.arange(len(rows), device=rows.device)
    found = []
    for some in torch.split(numbers, CHUNK):
        similar = rows[some] @ rows.T
        similar[torch.arange(len(some), device=rows.device), some] = -torch.inf
        found.append(similar.topk(k, dim=1).indices)
    return torch.cat(found)


def votes(labels: Tensor, nearest: Tensor, num_classes: int) -> Tensor:
    """Return the shares (N, C) of each row's neighbours that have each label."""
    k = nearest.shape[1]
    counts = torch.zeros(len(nearest), num_classes, device=labels.device)
    counts.scatter_add_(1, labels[nearest], torch.ones((), device=labels.device).expand(len(nearest), k))
    return counts / k


def confident_rows(features: Tensor, labels: Tensor, num_classes: int, k: int = 250, alpha: float = 0.5) -> Tensor:
    """Return which rows (N,), bool, have a label that their neighbours agree with most, equally many of every class.

    Twice: the k nearest rows vote, first with the given labels, then with the winners of the first vote. p_i is the
    share of the second vote for the row's label, within [0.01, 0.99]; a row agrees where its label wins. Of each class
    the m rows of largest p are chosen (the earlier ones of equal p), m the alpha-quantile of the classes' numbers of
    agreeing rows, the lower one between two, at least 1; of a smaller class all.

    Args:
        features: (N, D).
        labels: (N,) int64 in [0, C).
        num_classes: C.
        k: neighbours, all with one vote; at most N - 1.
        alpha: in [0, 1]; 0.5 is the median.

    Reference: Li et al., Selective-Supervised Contrastive Learning with Noisy Labels, CVPR 2022.
    """
    nearest = nearest_rows(features, k)
    pseudo = votes(labels, nearest, num_classes).argmax(1)
    shares = votes(pseudo, nearest, num_classes)
    agrees = shares.argmax(1) == labels
    agreeing = torch.zeros(num_classes, device=labels.device)
    agreeing.index_add_(0, labels, agrees.to(agreeing))
    present = agreeing[torch.bincount(labels, minlength=num_classes) > 0]
    most = present.quantile(alpha, interpolation="lower").clamp(min=1)
    own = shares.gather(1, labels[:, None])[:, 0].clamp(CLIP, 1 - CLIP)
    return smallest_by_class(-own, labels, most.expand(num_classes))


def pair_threshold(features: Tensor, labels: Tensor, chosen: Tensor, beta: float = 0.25) -> Tensor:
    """Return the beta-quantile (0-dim) of the cosines of chosen rows of the same label; 1 where there is no pair.

    Of every chosen row with min(n - 1, 500) others of the n of its label: all, or evenly spaced ones in their order.

    Args:
        features: (N, D).
        labels: (N,) int64.
        chosen: (N,) bool.
        beta: in [0, 1].

    Reference: as `confident_rows`; there the partners are drawn at random, the row itself among them.
    """
    rows, found = unit(features), []
    for label in torch.unique(labels[chosen]).tolist():
        mine = rows[chosen & (labels == label)]
        n = len(mine)
        if n < 2:
            continue
        count = min(n - 1, PARTNERS)
        offsets = 1 + torch.arange(count, device=rows.device) * (n - 1) // count
        for some in torch.split(torch.arange(n, device=rows.device), CHUNK):
            partners = (some[:, None] + offsets) % n
            found.append((mine[some] @ mine.T).gather(1, partners).flatten())
    if not found:
        return rows.new_ones(())
    ordered = torch.cat(found).sort().values
    place = beta * (len(ordered) - 1)  # torch.quantile takes no more than 16 million values
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return torch.lerp(ordered[low], ordered[high], place - low)
