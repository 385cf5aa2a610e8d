"""Several augmentations one after the other, and those of uint8 images for images of floats."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.views.types import Augment


@dataclass(frozen=True)
class InTurn:
    """Apply augmentations one after the other."""

    steps: tuple[Augment, ...]

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return inputs of the same shape and dtype."""
        for step in self.steps:
            inputs = step(inputs, generator)
        return inputs


@dataclass(frozen=True)
class InUint8:
    """Apply an augmentation of uint8 images (B, K, H, W) to images of any dtype, and to images (B, H, W).

    Floats are rounded to 256 levels between the smallest and the largest value of the batch.
    """

    change: Augment

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return images of the same shape and dtype."""
        if images.ndim == 3:
            return self(images[:, None], generator)[:, 0]
        if images.dtype == torch.uint8:
            return self.change(images, generator)
        low, high = images.aminmax()
        span = torch.where(high > low, high - low, 1.0)
        levels = ((images - low) / span * 255).round().to(torch.uint8)
        return self.change(levels, generator).to(images.dtype) / 255 * span + low
