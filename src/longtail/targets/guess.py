"""Soft labels of rows without labels, guessed from the network's own outputs for weak views of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Guess(nn.Module):
    """q = sharpened(align(mean_v softmax(z_v / temperature))), p sharpened to p_k^(1/T) / sum_j p_j^(1/T).

    FixMatch has one view alone, MixMatch two and T, ReMixMatch `align` and T.

    Args:
        temperature: of the softmax.
        sharpen: T; below 1 sharpens.
        align: probabilities (M, C) -> probabilities, such as `Alignment`; None leaves them.
    """

    def __init__(self, temperature: float = 1.0, sharpen: float = 1.0, align: nn.Module | None = None) -> None:
        super().__init__()
        self.temperature = temperature
        self.sharpen = sharpen
        self.align = align

    @torch.no_grad()
    def forward(self, logits: Tensor) -> Tensor:
        """Return soft labels (M, C) from the stacked logits (V, M, C) of the weak views."""
        p = (logits / self.temperature).softmax(-1).mean(0)
        if self.align is not None:
            p = self.align(p)
        return p if self.sharpen == 1.0 else sharpened(p, self.sharpen)

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"temperature={self.temperature}, sharpen={self.sharpen}"


def sharpened(p: Tensor, temperature: float) -> Tensor:
    """Return p_k^(1/T) / sum_j p_j^(1/T) for probabilities (M, C), by way of their logarithms."""
    return (p.log() / temperature).softmax(-1)
