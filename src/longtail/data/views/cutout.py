"""Cutout: a square of every image is painted over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.views.types import Augmentation, Numbers

COLOUR = (125, 123, 114)
"""The mean colour of ImageNet, as in USB."""
GREY = 123
"""Its shade of grey, for images that are not of three channels."""


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Paint a square of side u W, u uniform in [0, `largest`], over the image, its centre uniform in the image.

    As in USB's code: the left upper corner is cut off at the border before the side is added, so that squares at the
    left and upper border are not smaller; pixels from floor(corner) to floor(corner + side) are painted.

    DeVries and Taylor 2017; FixMatch's size up to half of the image.
    """

    largest: float = 0.5

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return u and the centre's place in width and height, in [0, 1): (rows, 3) float64."""
        return (torch.rand(rows, 3, generator=generator, dtype=torch.float64),)

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return uint8 images (B, K, H, W)."""
        channels, height, width = inputs.shape[1:]
        u, across, down = numbers[0].unbind(1)
        side = u * self.largest * width
        columns, rows = _covered(across * width, side, width), _covered(down * height, side, height)
        inside = rows[:, None, :, None] & columns[:, None, None, :] & (side > 0)[:, None, None, None]
        # filled on the device: a tensor of numbers would be copied from the host in every step
        colour = [inputs.new_full((1, 1), level) for level in (COLOUR if channels == 3 else (GREY,) * channels)]
        return torch.where(inside, torch.stack(colour), inputs)


def _covered(centre: Tensor, side: Tensor, length: int) -> Tensor:
    """Return which of `length` pixels are painted: (B, length) bool."""
    corner = (centre - side / 2).clamp(min=0).floor()
    pixel = torch.arange(length, device=centre.device)
    return (pixel >= corner[:, None]) & (pixel <= (corner + side).floor()[:, None])
