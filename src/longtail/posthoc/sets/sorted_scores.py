"""Calibration scores by group, sorted, as buffers of any length."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import FixedDtype


class SortedScores(FixedDtype):
    """The true-class scores of the calibration rows, sorted within each of G groups.

    Args:
        groups: G.

    Buffers: `scores` (N,) float64, those of group 0 first; `weights` (N,) float64, `sizes` (G,) int64 rows. Rows of
    weight 0 are left out. A loaded state may have any number of rows.
    """

    scores: Tensor
    weights: Tensor
    sizes: Tensor

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.register_buffer("scores", torch.empty(0, dtype=torch.float64))
        self.register_buffer("weights", torch.empty(0, dtype=torch.float64))
        self.register_buffer("sizes", torch.full((groups,), -1))  # -1: not fitted, while 0 is a class without rows

    @property
    def fitted(self) -> bool:
        """Whether `fill` was called, or a filled state was loaded."""
        return bool((self.sizes >= 0).all())

    @torch.no_grad()
    def fill(self, scores: Tensor, weights: Tensor, group: Tensor) -> None:
        """Sort scores (N,) of groups (N,)."""
        kept = weights > 0
        scores, weights, group = scores[kept], weights[kept], group[kept]
        order = scores.argsort(stable=True)
        order = order[group[order].argsort(stable=True)]
        self.scores, self.weights = scores[order], weights[order]
        self.sizes = torch.bincount(group, minlength=len(self.sizes))

    def groups(self) -> list[tuple[Tensor, Tensor]]:
        """Return scores, ascending, and weights of each group."""
        sizes = self.sizes.tolist()
        return list(zip(torch.split(self.scores, sizes), torch.split(self.weights, sizes), strict=True))

    def totals(self) -> Tensor:
        """Return the sum of weights (G,) float64."""
        group = torch.repeat_interleave(self.sizes)
        return torch.zeros(len(self.sizes), dtype=self.weights.dtype, device=group.device).index_add_(
            0, group, self.weights
        )

    @property
    def whole(self) -> bool:
        """Whether every weight is a whole number."""
        return bool((self.weights == self.weights.round()).all())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in ("scores", "weights"):
            stored = state_dict.get(prefix + name)
            if isinstance(stored, Tensor) and stored.ndim == 1:
                setattr(self, name, torch.empty_like(stored, dtype=torch.float64, device=self.sizes.device))
        super()._load_from_state_dict(state_dict, prefix, *args)
        if self.fitted and not (len(self.scores) == len(self.weights) == int(self.sizes.sum())):
            raise RuntimeError(f"sets have {len(self.scores)} scores for sizes that sum to {int(self.sizes.sum())}")
