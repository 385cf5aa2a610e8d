"""Batched augmentation of images on their device, in uint8, from a given generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CropFlip:
    """Pad with zeros, crop a random window of the original size, mirror half of the images.

    The CIFAR augmentation of every paper in the field: pad 4, crop 32, flip. Zeros are black before
    normalisation, as in the original pipelines. One draw per image.
    """

    pad: int = 4
    flip: bool = True

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return images (B, K, H, W) of the same shape and dtype."""
        size, channels, height, width = images.shape
        shifts = torch.randint(0, 2 * self.pad + 1, (2, size), generator=generator)
        mirrored = torch.rand(size, generator=generator) < 0.5 if self.flip else torch.zeros(size, dtype=torch.bool)
        padded = F.pad(images, (self.pad,) * 4)
        # one gather does crop and mirror: the index into the padded image of every pixel of the result
        stride = width + 2 * self.pad
        x = torch.arange(width)
        y, channel = torch.arange(height)[:, None], torch.arange(channels)[:, None, None]
        rows = channel * (height + 2 * self.pad) * stride + y * stride
        plain, flipped = ((rows + columns).flatten() for columns in (x, x.flip(0)))
        first = shifts[0] * stride + shifts[1]
        index = torch.where(mirrored[:, None], flipped, plain) + first[:, None]
        return padded.flatten(1).gather(1, index.to(images.device)).reshape(images.shape)
