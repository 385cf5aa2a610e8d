"""Noise for features without known meaning, such as embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """x + sigma s e: e standard normal, s (D,) the standard deviation of each feature in the batch.

    A feature that is constant in the batch, and the only row of a batch, stay as they are. sigma is ours: no reference
    FixMatch for features exists.
    """

    sigma: float = 0.5

    def __call__(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """Return features (B, D) of the same dtype."""
        noise = torch.randn(features.shape, generator=generator).to(features)
        return features + self.sigma * features.std(0, correction=0) * noise
