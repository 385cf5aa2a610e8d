"""Gaussian blur of images, every one by its own width; batched, on their device."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW = 0.1
"""Length of the window as a share of the side: SimCLR's 22 pixels of 224, and 3 of 32."""


def gaussian_blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur images along both sides; pixel i is the mean of the pixels j within the window, of weight e^(-(i-j)^2/2s^2).

    The window reaches half of `WINDOW` sides to the left and right, at least one pixel. At the border, where a part of
    it lies outside, the weights of the rest are divided by their own sum, so that an even image stays as it is.

    Args:
        x: (B, K, H, W), floating point.
        sigma: (B,) s > 0, in pixels.
    """
    down, across = (_weights(size, sigma.to(x.dtype)) for size in x.shape[2:])
    blurred: Tensor = down[:, None] @ x @ across[:, None].transpose(2, 3)
    return blurred


def _weights(size: int, sigma: Tensor) -> Tensor:
    """Return (B, size, size), rows of which sum to 1."""
    place = torch.arange(size, device=sigma.device, dtype=sigma.dtype)
    distance = (place[:, None] - place).abs()
    near = distance <= max(1, int(size * WINDOW) // 2)
    logits = -0.5 * (distance / sigma[:, None, None]) ** 2
    return torch.where(near, logits, -torch.inf).softmax(2)
