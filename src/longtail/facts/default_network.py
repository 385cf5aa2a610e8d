"""Which of our networks inputs get by default, and which of them are small. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

SMALL = ("linear", "mlp", "convnet")
"""Networks too small for photographs: at most two layers of convolutions."""
SMALLEST, LARGE = 8, 96
"""Pixels of the smaller side: the least of a convnet, and from where on images get a ResNet with ImageNet's stem."""


def choose(input_shape: Sequence[int]) -> str:
    """Return the default network for these inputs.

    "resnet18" for images (C, H, W) from 96x96 on, with the stem of ImageNet: the two layers of "convnet" see parts of
    a few pixels. "convnet" for smaller ones from 8x8 on, else "mlp".
    """
    if len(input_shape) == 3 and min(input_shape[-2:]) >= LARGE:
        return "resnet18"
    image = len(input_shape) in (2, 3) and min(input_shape[-2:]) >= SMALLEST
    return "convnet" if image else "mlp"
