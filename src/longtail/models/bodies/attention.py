"""OLTR's modulated attention: a block over the last feature map of a body."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

REDUCTION = 2
"""Of the channels inside the block."""


@final
class ModulatedAttention(nn.Module):
    """x + s (.) N(x): a non-local block N weighed by a softmax s over the positions of the map.

    N(x) = W softmax(theta(x)^T phi(x)) g(x), theta, phi, g 1 x 1 convolutions to half the channels, W one without
    bias back to all; s = softmax(linear layer of the flattened map), one weight per position. W starts at 0, so that
    the block begins as the identity.

    Args:
        channels: K.
        size: (H, W) of the map; the linear layer has K (H W)^2 weights.

    Shapes: (N, K, H, W), unchanged.

    Reference: Liu et al. 2019, "Large-Scale Long-Tailed Recognition in an Open World", section 3, and its code.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        inner, positions = max(channels // REDUCTION, 1), size[0] * size[1]
        self.g, self.theta, self.phi = (_convolution(channels, inner) for _ in range(3))
        self.out = nn.Conv2d(inner, channels, 1, bias=False)
        nn.init.zeros_(self.out.weight)
        self.spatial = nn.Linear(channels * positions, positions)

    def forward(self, x: Tensor) -> Tensor:
        """The attended map."""
        number, _, *size = x.shape
        g, theta, phi = (layer(x).flatten(2) for layer in (self.g, self.theta, self.phi))  # (N, K / 2, H W)
        related = torch.softmax(theta.transpose(1, 2) @ phi, -1)
        block: Tensor = self.out((g @ related.transpose(1, 2)).reshape(number, -1, *size))
        return x + torch.softmax(self.spatial(x.flatten(1)), -1).reshape(number, 1, *size) * block


def _convolution(before: int, after: int) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 1)
    nn.init.kaiming_normal_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
