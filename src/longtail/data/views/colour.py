"""Changes of the values of pixels, with Pillow's arithmetic: uint8 images (B, K, H, W) and one magnitude an image.

Every function takes `images` and `value` (B,) float64 on their device, and returns uint8 images of the same shape.
Three channels are red, green and blue; any other number is taken for shades of grey.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 256


def identity(images: Tensor, value: Tensor) -> Tensor:
    """Change nothing."""
    return images


def auto_contrast(images: Tensor, value: Tensor) -> Tensor:
    """Stretch every channel to [0, 255]; a channel of one value stays. `value` is not read."""
    low, high = (x.double()[..., None] for x in torch.aminmax(images.flatten(2), dim=2))
    scale = torch.full_like(low, 255) / (high - low)  # 255 / tensor would be a product with the reciprocal
    levels = torch.arange(BINS, dtype=torch.float64, device=images.device)
    table = (levels * scale - low * scale).trunc()
    return _looked_up(images, torch.where(high > low, table, levels))


def equalize(images: Tensor, value: Tensor) -> Tensor:
    """Spread every channel's histogram evenly. `value` is not read.

    With `step` = floor((pixels - pixels of the largest level) / 255), level i becomes
    floor((floor(step / 2) + pixels below i) / step); a channel with step 0, so every one with fewer than 256 pixels,
    stays as it is.
    """
    pixels = images.flatten(2).long()
    count = torch.zeros(*pixels.shape[:2], BINS, dtype=torch.int64, device=images.device)
    count.scatter_add_(2, pixels, torch.ones_like(pixels))
    largest = count.gather(2, pixels.amax(2, keepdim=True))
    step = (count.sum(2, keepdim=True) - largest) // 255
    table = (step // 2 + count.cumsum(2) - count) // step.clamp(min=1)
    levels = torch.arange(BINS, device=images.device)
    return _looked_up(images, torch.where(step > 0, table, levels))


def brightness(images: Tensor, value: Tensor) -> Tensor:
    """Blend with black; value 1 is the image."""
    return _blended(torch.zeros_like(images), images, value)


def colour(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the image's shades of grey; value 1 is the image."""
    return _blended(grey(images).expand_as(images), images, value)


def contrast(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the mean shade of grey; value 1 is the image."""
    mean = (grey(images).double().mean((1, 2, 3), keepdim=True) + 0.5).to(torch.uint8)
    return _blended(mean.expand_as(images), images, value)


def sharpness(images: Tensor, value: Tensor) -> Tensor:
    """Blend with the image smoothed by 3x3 weights 1 around 5, over 13; its border is not smoothed."""
    if min(images.shape[2:]) < 3:
        return images
    channels, levels = images.shape[1], images.float()
    kernel = levels.new_ones(channels, 1, 3, 3)
    total = F.conv2d(levels, kernel, groups=channels) + 4 * levels[..., 1:-1, 1:-1]  # exact: below 2^24
    smooth = images.clone()
    smooth[..., 1:-1, 1:-1] = ((2 * total.long() + 13) // 26).to(torch.uint8)  # rounded to nearest
    return _blended(smooth, images, value)


def posterize(images: Tensor, value: Tensor) -> Tensor:
    """Keep the floor(value) highest bits, at least one."""
    bits = value.long().clamp(1, 8)
    mask = (BINS - (1 << (8 - bits))).to(torch.uint8)
    return images & mask[:, None, None, None]


def solarize(images: Tensor, value: Tensor) -> Tensor:
    """Invert levels from `value` on."""
    return torch.where(images < value[:, None, None, None], images, 255 - images)


def grey(images: Tensor) -> Tensor:
    """Return the shades of grey (B, 1, H, W) uint8: ITU-R 601 luma in 16-bit fixed point."""
    if images.shape[1] != 3:
        return images.float().mean(1, keepdim=True).to(torch.uint8) if images.shape[1] > 1 else images
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8)[:, None]


def _blended(start: Tensor, end: Tensor, value: Tensor) -> Tensor:
    """Return start + value (end - start), within [0, 255] and cut to integers, in float32; value >= 0."""
    first, last = start.float(), end.float()
    return (first + value.float()[:, None, None, None] * (last - first)).clamp(0, 255).to(torch.uint8)


def _looked_up(images: Tensor, table: Tensor) -> Tensor:
    """Return every pixel's entry in its image's and channel's table (B, K, 256), within [0, 255]."""
    return table.clamp(0, 255).to(torch.uint8).gather(2, images.flatten(2).long()).reshape(images.shape)
