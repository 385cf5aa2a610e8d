"""The k nearest neighbours as a head: no training, the features of the training rows are its state."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.functional import widen

FLOOR = 1e-12
"""The least share of votes, so that its logarithm is finite."""
EXACT = "donot_use_mm_for_euclid_dist"


@final
class Neighbours(nn.Module):
    """Scores by the classes of the k nearest training rows, Euclidean on features of length 1, or as they are.

    z_j = log max(share of the k neighbours that are of class j, 1e-12)

    Unweighted votes; of classes with equal votes the first is predicted. k is at most the number of rows.

    Args:
        in_features, out_features: D and C.
        rows: N, of the training rows.
        k: neighbours that vote.
        unit: whether features are divided by their length; False compares them as they are.

    Shapes: features (B, D) -> (B, C). Buffers: `bank` (N, D) and `labels` (N,), empty until `fit`.
    """

    bank: Tensor
    labels: Tensor

    def __init__(self, in_features: int, out_features: int, *, rows: int, k: int = 10, unit: bool = True) -> None:
        super().__init__()
        Range(1, integer=True).check("rows", rows)
        Range(1, integer=True).check("k", k)
        self.in_features, self.out_features = in_features, out_features
        self.k, self.unit = min(k, rows), unit
        self.register_buffer("bank", torch.zeros(rows, in_features))
        self.register_buffer("labels", torch.zeros(rows, dtype=torch.int64))

    @torch.no_grad()
    def fit(self, features: Tensor, targets: Tensor) -> None:
        """Store training features (N, D) and their classes (N,)."""
        self.bank.copy_(self._compared(features))
        self.labels.copy_(targets)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logarithms of the shares of votes."""
        x = self._compared(features)
        # of vectors of length 1 the nearest has the largest product; else distances themselves, without cancellation
        near = x @ self.bank.T if self.unit else -torch.cdist(x, self.bank, compute_mode=EXACT)
        near = near.topk(self.k, dim=1).indices
        votes = F.one_hot(self.labels[near], self.out_features).sum(1)
        return (votes.to(self.bank.dtype) / self.k).clamp(min=FLOOR).log()

    def _compared(self, features: Tensor) -> Tensor:
        return F.normalize(widen(features), dim=1) if self.unit else widen(features)

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"rows={len(self.labels)}, k={self.k}" + ("" if self.unit else ", unit=False")
