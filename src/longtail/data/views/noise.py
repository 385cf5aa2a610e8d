"""Noise for features without known meaning, such as embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.views.types import Augmentation, Numbers


@dataclass(frozen=True)
class Noise(Augmentation):
    """x + sigma s e: e standard normal, s (D,) the standard deviation of each feature in the batch.

    A feature that is constant in the batch, and the only row of a batch, stay as they are. sigma is ours: no reference
    FixMatch for features exists.
    """

    sigma: float = 0.5

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return e, (rows, D) float32."""
        return (torch.randn(rows, *shape, generator=generator),)

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return features (B, D) of the same dtype."""
        (noise,) = numbers
        changed: Tensor = inputs + self.sigma * inputs.std(0, correction=0) * noise.to(inputs.dtype)
        return changed
