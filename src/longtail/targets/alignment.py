"""Distribution alignment: guessed labels moved towards given class shares, as in ReMixMatch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress
from longtail.targets.refinement import Refinement

EPSILON = 1e-6
"""Added to both shares, as in the papers' code."""


class Alignment(nn.Module):
    """p_k (s_k + e) / (m_k + e), rescaled to sum to 1; m the mean of p over the latest batches, e = 1e-6.

    Args:
        shares: s (C,), the class shares aimed at, or counts.
        window: number of batches in m, the present one among them; at first there are fewer.
    """

    shares: Tensor
    recent: Tensor
    seen: Tensor
    holding = False
    repeating = False

    def __init__(self, shares: Tensor, window: int = 128) -> None:
        super().__init__()
        self.register_buffer("shares", (shares.double() / shares.sum()).float())
        self.register_buffer("recent", torch.zeros(window, len(shares)))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, p: Tensor) -> Tensor:
        """Return aligned probabilities (M, C).

        The present batch enters the window, which stays so unless `holding`; `repeating`, it is in it already.
        """
        window, recent, seen = len(self.recent), self.recent, self.seen
        if not self.repeating:
            place = (seen % window).reshape(1)
            recent = recent.index_copy(0, place, p.mean(0, keepdim=True).to(recent.dtype))
            seen = seen + 1
        mean = recent.sum(0) / seen.clamp(max=window)
        if not self.holding:
            self.recent.copy_(recent)
            self.seen.copy_(seen)
        aligned = p * ((self.shares + EPSILON) / (mean + EPSILON)).to(p.dtype)
        return aligned / aligned.sum(1, keepdim=True)

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"window={len(self.recent)}"


class Aligned(Refinement):
    """The guesses, aligned: a step of its own after whatever the guess is made of.

    Args:
        alignment: of soft labels.
    """

    def __init__(self, alignment: Alignment) -> None:
        super().__init__()
        self.alignment = alignment

    def forward(self, batch: Batch, guess: Tensor, outputs: Outputs, progress: Progress) -> Tensor:
        """Return the aligned labels (M, C)."""
        aligned: Tensor = self.alignment(guess)
        return aligned
