"""Rotation, shear and translation by the nearest pixel, with Pillow's arithmetic; uncovered pixels become 0.

Every function takes uint8 `images` (B, K, H, W) and `value` (B,) float64 on their device, and returns the same shape.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ONE = 1 << 16
"""1 in fixed point with 16 binary places."""


def rotate(images: Tensor, value: Tensor) -> Tensor:
    """Rotate by `value` degrees, counter-clockwise, around the centre."""
    height, width = images.shape[2:]
    angle = -value * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    x, y = width / 2, height / 2
    return affine(images, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y])


def shear_x(images: Tensor, value: Tensor) -> Tensor:
    """Pixel (x, y) becomes that at (x + value y, y)."""
    return affine(images, [1.0, value, 0.0, 0.0, 1.0, 0.0])


def shear_y(images: Tensor, value: Tensor) -> Tensor:
    """Pixel (x, y) becomes that at (x, y + value x)."""
    return affine(images, [1.0, 0.0, 0.0, value, 1.0, 0.0])


def translate_x(images: Tensor, value: Tensor) -> Tensor:
    """Move to the left by `value` widths."""
    return affine(images, [1.0, 0.0, value * images.shape[3], 0.0, 1.0, 0.0])


def translate_y(images: Tensor, value: Tensor) -> Tensor:
    """Move up by `value` heights."""
    return affine(images, [1.0, 0.0, 0.0, 0.0, 1.0, value * images.shape[2]])


def affine(images: Tensor, matrix: list[Tensor | float]) -> Tensor:
    """Return images whose pixel (x, y) is that of the input at (a x + b y + c, d x + e y + f), its centre meant.

    Args:
        images: (B, K, H, W).
        matrix: a, b, c, d, e, f, each a number or (B,) float64.
    """
    size, channels, height, width = images.shape
    a, b, c, d, e, f = (_on(images, m).expand(size) for m in matrix)
    x = torch.arange(width, device=images.device)
    y = torch.arange(height, device=images.device)[:, None]

    def source(along_x: Tensor, along_y: Tensor, start: Tensor) -> Tensor:
        first = _fixed(start + along_x * 0.5 + along_y * 0.5)
        return (first + _fixed(along_y) * y + _fixed(along_x) * x) >> 16

    column, row = source(a, b, c), source(d, e, f)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = torch.where(inside, row * width + column, 0).flatten(1)[:, None].expand(-1, channels, -1)
    moved = images.flatten(2).gather(2, index).reshape(images.shape)
    return torch.where(inside[:, None], moved, 0)


def _on(images: Tensor, number: Tensor | float) -> Tensor:
    """Return a number as a tensor that is filled on the device of the images, never copied from the host."""
    if isinstance(number, Tensor):
        return number
    return torch.full((1,), number, dtype=torch.float64, device=images.device)


def _fixed(value: Tensor) -> Tensor:
    """Return (B,) numbers in fixed point, (B, 1, 1) int64."""
    return (value * ONE + 0.5).floor().long()[:, None, None]
