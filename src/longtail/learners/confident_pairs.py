"""What is known of all rows in an epoch: features, confident rows, and which pairs of rows belong together."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from longtail.functional.neighbour_votes import confident_rows, pair_threshold
from longtail.functional.similarity import unit

EMPTY = -1


@final
class ConfidentPairs(nn.Module):
    """Pairs of rows with the same label that are both confident, or nearer to each other than a threshold.

    Args:
        labels: (N,) int64, as they were given.
        num_classes: C.
        dim: P, width of the features.
        k: neighbours that vote, see `functional.neighbour_votes.confident_rows`.
        alpha: quantile of the classes' numbers of agreeing rows.
        beta: quantile of the similarities of confident pairs, the threshold.

    Buffers: `bank` (N, P), the features, of length 1; `confident` (N,), all rows before the first choice; `threshold`.
    """

    labels: Tensor
    bank: Tensor
    confident: Tensor
    threshold: Tensor

    def __init__(
        self, labels: Tensor, num_classes: int, dim: int, *, k: int = 250, alpha: float = 0.5, beta: float = 0.25
    ) -> None:
        super().__init__()
        self.num_classes, self.k, self.alpha, self.beta = num_classes, k, alpha, beta
        self.register_buffer("labels", labels.clone())
        self.register_buffer("bank", torch.zeros(len(labels), dim))
        self.register_buffer("confident", torch.ones(len(labels), dtype=torch.bool))
        self.register_buffer("threshold", torch.ones(()))

    def chosen(self, features: Tensor) -> Tensor:
        """Return which rows (N,) are confident by these features (N, P); nothing is stored."""
        return confident_rows(features, self.labels, self.num_classes, self.k, self.alpha)

    @torch.no_grad()
    def choose(self, features: Tensor) -> None:
        """Choose rows and threshold anew, by the features (N, P) of all rows."""
        self.bank.copy_(unit(features))
        self.confident.copy_(self.chosen(self.bank))
        self.threshold.copy_(pair_threshold(self.bank, self.labels, self.confident, self.beta))

    def together(self, rows: Tensor, others: Tensor) -> Tensor:
        """Return which rows (A,) and others (K,) are a pair, (A, K) bool; an empty place, -1, is in none."""
        same = (self.labels[rows][:, None] == self.labels[others.clamp(min=0)]) & (others != EMPTY)
        near = self.bank[rows] @ self.bank[others.clamp(min=0)].T >= self.threshold
        both = self.confident[rows][:, None] & self.confident[others.clamp(min=0)]
        return same & (near | both)


@final
class PairQueue(nn.Module):
    """A ring of projections and probabilities of earlier mixed rows, by the moving average; empty at first.

    Args:
        places: M; 0 for none.
        dim: P, width of the projections.
        num_classes: C.

    Buffers: `keys` (M, P); `shares` (M, C), probabilities; `rows` (M,), the training row that each is mostly of, -1
    where the place is empty; `next` (0-dim), the place that is written next.
    """

    keys: Tensor
    shares: Tensor
    rows: Tensor
    next: Tensor

    def __init__(self, places: int, dim: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(places, dim))
        self.register_buffer("shares", torch.zeros(places, num_classes))
        self.register_buffer("rows", torch.full((places,), EMPTY))
        self.register_buffer("next", torch.tensor(0))

    @torch.no_grad()
    def put(self, keys: Tensor, shares: Tensor, rows: Tensor) -> None:
        """Let these take the places of the oldest ones; of more than there are places the last."""
        size, count = len(self.rows), len(rows)
        if size == 0:
            return
        offset = torch.arange(max(count - size, 0), count, device=self.rows.device)
        places = (self.next + offset) % size
        for ring, new in ((self.keys, unit(keys)), (self.shares, shares), (self.rows, rows)):
            ring.index_copy_(0, places, new[-size:].to(ring.dtype))
        self.next.copy_((self.next + count) % size)
