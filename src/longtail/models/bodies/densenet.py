"""DenseNet-BC for images of CIFAR's size: every layer reads the maps of all layers before it."""

from __future__ import annotations

import math
from itertools import starmap

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.models.bodies.attention import ModulatedAttention
from longtail.models.bodies.branches import branched
from longtail.models.bodies.deep_resnet import convolution
from longtail.models.bodies.resnet import GlobalMean
from longtail.models.bodies.small import Body, Shape
from longtail.models.bodies.stages import starts_stage

BOTTLENECK = 4
"""Channels between the two convolutions of a layer, in multiples of the growth."""


def densenet(
    shape: Shape,
    *,
    depth: int = 100,
    growth: int = 12,
    compression: float = 0.5,
    branches: int = 1,
    attention: bool = False,
    late: bool = False,
) -> Body:
    """DenseNet-BC-`depth`-`growth`: a 3x3 stem of 2 k channels and three dense blocks of (depth - 4) / 6 layers.

    A layer is a 1x1 convolution to 4 k channels and a 3x3 one to k, each after batch norm and ReLU; its output is
    appended to its input. Between blocks a 1x1 convolution keeps the share `compression` of the channels, rounded
    down, and the mean of 2x2 pixels halves the image; batch norm, ReLU and the mean over the image come last.
    DenseNet-BC-100-12 has D = 342, and with a linear head on 10 classes 769,162 parameters. Convolutions are
    Kaiming-normal (fan-in). No two layers have the same shapes, so that `torch.compile` compiles each of them for every
    shape of batch, which takes long.

    Args:
        shape: (C, H, W), H and W >= 4.
        depth: 6 n + 4, the number of layers.
        growth: k, channels that a layer adds.
        compression: in (0, 1].
        branches: the stem, the first block and its transition are shared and each branch has the rest.
        attention: whether the last map passes `ModulatedAttention`.
        late: branches have the last layer alone.

    Huang et al., Densely Connected Convolutional Networks, CVPR 2017, section 3 and table 2; without dropout.
    """
    Range(1, integer=True).check("growth", growth)
    Range(0, 1, open_low=True).check("compression", compression)
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth must be 6 n + 4 with n >= 1 for a densenet, got {depth!r}; 100 is usual")
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ValueError(
            f"input_shape must be (C, H, W) with H, W >= 4 for a densenet, got {shape}; use mlp or convnet"
        )
    layers, channels = (depth - 4) // 6, 2 * growth
    kinds: list[tuple[int, int, bool]] = []  # channels before and after, and whether it is a transition
    for block in range(3):
        if block:
            kinds.append((channels, max(1, math.floor(channels * compression)), True))
            channels = kinds[-1][1]
        kinds += [(channels + j * growth, channels + (j + 1) * growth, False) for j in range(layers)]
        channels += layers * growth
    shared = len(kinds) - 1 if late else layers + 1

    def own() -> list[nn.Module]:
        attended = [ModulatedAttention(channels, (shape[1] // 4, shape[2] // 4))] if attention else []
        return [*starmap(_layer, kinds[shared:]), nn.BatchNorm2d(channels), nn.ReLU(), *attended, GlobalMean()]

    stem = convolution(shape[0], 2 * growth, 3)
    return nn.Sequential(stem, *starmap(_layer, kinds[:shared]), *branched(branches, own)), branches * channels


class DenseLayer(nn.Module):
    """x -> (x, conv3x3(relu(bn(conv1x1(relu(bn(x))))))), the new channels last."""

    def __init__(self, before: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = convolution(before, BOTTLENECK * growth, 1)
        self.bn2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.conv2 = convolution(BOTTLENECK * growth, growth, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, before + growth, H, W)."""
        out = self.conv1(F.relu(self.bn1(x)))
        return torch.cat([x, self.conv2(F.relu(self.bn2(out)))], 1)


class Transition(nn.Module):
    """The mean of 2x2 pixels of conv1x1(relu(bn(x)))."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(before)
        self.conv = convolution(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H / 2, W / 2), rounded down."""
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


def _layer(before: int, after: int, transition: bool) -> nn.Module:
    return starts_stage(Transition(before, after)) if transition else DenseLayer(before, after - before)
