"""Cutout: a square of every image is painted over."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

COLOUR = (125, 123, 114)
"""The mean colour of ImageNet, as in USB."""
GREY = 123
"""Its shade of grey, for images that are not of three channels."""


@dataclass(frozen=True)
class Cutout:
    """Paint a square of side u W, u uniform in [0, `largest`], over the image, its centre uniform in the image.

    As in USB's code: the left upper corner is cut off at the border before the side is added, so that squares at the
    left and upper border are not smaller; pixels from floor(corner) to floor(corner + side) are painted.

    DeVries and Taylor 2017; FixMatch's size up to half of the image.
    """

    largest: float = 0.5

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return uint8 images (B, K, H, W)."""
        size, channels, height, width = images.shape
        drawn = torch.rand(3, size, generator=generator, dtype=torch.float64).to(images.device)
        side = drawn[0] * self.largest * width
        columns, rows = _covered(drawn[1] * width, side, width), _covered(drawn[2] * height, side, height)
        inside = rows[:, None, :, None] & columns[:, None, None, :] & (side > 0)[:, None, None, None]
        colour = torch.tensor(COLOUR if channels == 3 else (GREY,) * channels, dtype=images.dtype, device=images.device)
        return torch.where(inside, colour[:, None, None], images)


def _covered(centre: Tensor, side: Tensor, length: int) -> Tensor:
    """Return which of `length` pixels are painted: (B, length) bool."""
    corner = (centre - side / 2).clamp(min=0).floor()
    pixel = torch.arange(length, device=centre.device)
    return (pixel >= corner[:, None]) & (pixel <= (corner + side).floor()[:, None])
