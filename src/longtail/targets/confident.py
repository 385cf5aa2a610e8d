"""Hard pseudo-labels where the network is confident: the targets of FixMatch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, TrainingData


class Confident(nn.Module):
    """The class of the largest probability, of weight 1 where that probability reaches the threshold, else 0.

    p = softmax(z / temperature); target argmax_k p_k, weight [max_k p_k >= threshold]. Without a gradient, without a
    state.

    Args:
        threshold: above 1 no row counts; 0 counts all.
        temperature: below 1 sharpens p before it is compared with the threshold.
    """

    def __init__(self, threshold: float = 0.95, temperature: float = 1.0) -> None:
        super().__init__()
        self.threshold = threshold
        self.temperature = temperature

    @torch.no_grad()
    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor]:
        """Return targets (B,) and weights (B,) from the logits of the weak view."""
        largest, label = (outputs.logits / self.temperature).softmax(1).max(1)
        return label, (largest >= self.threshold).to(largest.dtype)

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Store nothing."""

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Compute nothing."""

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"threshold={self.threshold}, temperature={self.temperature}"
