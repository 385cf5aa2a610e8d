"""How soft labels of rows without labels are used: as hard labels where they are confident, or as they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Confident(nn.Module):
    """The class of the largest probability, of weight 1 where that probability reaches the threshold, else 0.

    target argmax_k q_k, weight [max_k q_k >= threshold], as in FixMatch. q are the labels after any correction, so that
    it decides which rows count, too.

    Args:
        threshold: above 1 no row counts; 0 counts all.
        soft: whether the labels themselves are the targets, in place of the class.
    """

    def __init__(self, threshold: float = 0.95, *, soft: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.soft = soft

    @torch.no_grad()
    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return targets (M,), or soft ones (M, C), and weights (M,) from soft labels (M, C)."""
        largest, label = labels.max(1)
        return labels if self.soft else label, (largest >= self.threshold).to(largest.dtype)

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"threshold={self.threshold}, soft={self.soft}"


class Soft(nn.Module):
    """Soft labels as they are, each row counting once."""

    def forward(self, labels: Tensor) -> tuple[Tensor, None]:
        """Return the labels (M, C)."""
        return labels, None
