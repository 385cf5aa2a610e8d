"""Several augmentations one after the other, and those of uint8 images for images of floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.views.types import Augment, Augmentation, Numbers, augmentation


@dataclass(frozen=True)
class InTurn(Augmentation):
    """Apply augmentations one after the other."""

    steps: tuple[Augment, ...]

    @property
    def eager(self) -> str:
        """The reason of the first step that has one."""
        return next(filter(None, (augmentation(step).eager for step in self.steps)), "")

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the numbers of every step."""
        return tuple(augmentation(step).draw(rows, shape, generator) for step in self.steps)

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return inputs of the same shape and dtype."""
        for step, own in zip(self.steps, numbers, strict=True):
            inputs = augmentation(step).apply(inputs, own)
        return inputs


@dataclass(frozen=True)
class InUint8(Augmentation):
    """Apply an augmentation of uint8 images (B, K, H, W) to images of any dtype, and to images (B, H, W).

    Floats are rounded to 256 levels between the smallest and the largest value of the batch.
    """

    change: Augment

    @property
    def eager(self) -> str:
        """The reason of the augmentation."""
        return augmentation(self.change).eager

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the numbers of the augmentation."""
        return augmentation(self.change).draw(rows, shape if len(shape) > 2 else (1, *shape), generator)

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return images of the same shape and dtype."""
        if inputs.ndim == 3:
            return self.apply(inputs[:, None], numbers)[:, 0]
        change = augmentation(self.change)
        if inputs.dtype == torch.uint8:
            return change.apply(inputs, numbers)
        low, high = inputs.aminmax()
        span = torch.where(high > low, high - low, 1.0)
        levels = ((inputs - low) / span * 255).round().to(torch.uint8)
        return change.apply(levels, numbers).to(inputs.dtype) / 255 * span + low
