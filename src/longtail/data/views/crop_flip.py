"""Batched augmentation of images on their device, in uint8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.data.views.types import Augmentation, Numbers


@dataclass(frozen=True)
class CropFlip(Augmentation):
    """Pad with zeros, crop a random window of the original size, mirror half of the images.

    The CIFAR augmentation of every paper in the field: pad 4, crop 32, flip. Zeros are black before
    normalisation, as in the original pipelines. One draw per image.
    """

    pad: int = 4
    flip: bool = True

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the upper and left corner of every window (rows, 2), and whether it is mirrored (rows,)."""
        corners = torch.randint(0, 2 * self.pad + 1, (rows, 2), generator=generator)
        mirrored = torch.rand(rows, generator=generator) < (0.5 if self.flip else 0.0)
        return corners, mirrored

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return images (B, K, H, W) of the same shape and dtype."""
        (corners, mirrored), (channels, height, width) = numbers, inputs.shape[1:]
        padded = F.pad(inputs, (self.pad,) * 4).flatten(2)
        # one gather does crop and mirror: the index into a padded channel of every pixel of the result
        stride = width + 2 * self.pad
        x, y = (torch.arange(size, device=inputs.device) for size in (width, height))
        plain, flipped = ((y[:, None] * stride + columns).flatten() for columns in (x, x.flip(0)))
        index = torch.where(mirrored[:, None], flipped, plain) + (corners[:, :1] * stride + corners[:, 1:])
        return padded.gather(2, index[:, None].expand(-1, channels, -1)).reshape(inputs.shape)
