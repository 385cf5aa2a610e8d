"""Wide residual networks: WRN-28-2 for 32x32 images, as semi-supervised CIFAR is reported with."""

from __future__ import annotations

from itertools import pairwise, starmap

import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.models.bodies.attention import ModulatedAttention
from longtail.models.bodies.branches import branched
from longtail.models.bodies.resnet import GlobalMean, quartered
from longtail.models.bodies.small import Body, Shape
from longtail.models.bodies.stages import starts_stage

SLOPE = 0.1
"""Of LeakyReLU below 0."""


def wide_resnet(
    shape: Shape,
    *,
    depth: int = 28,
    width: int = 2,
    momentum: float = 0.001,
    branches: int = 1,
    attention: bool = False,
    late: bool = False,
) -> Body:
    """WRN-`depth`-`width`: 3x3 stem of 16 channels, three stages of (depth - 4) / 6 blocks; D = 64 width.

    Stages have 16, 32 and 64 times `width` channels, the second and third halve the image; pre-activation blocks, batch
    norm and LeakyReLU 0.1 before the mean over the image. With a linear head on 10 classes, WRN-28-2 has 1,467,610
    parameters. Convolutions without bias are Kaiming-normal (fan-out), a linear head is Xavier-normal with zero bias.

    Args:
        shape: (C, H, W), H and W >= 4.
        depth: 6 k + 4, the number of layers.
        width: factor of the channels.
        momentum: of batch norm, in torch's sense. FixMatch, USB and ABC use 0.001, which takes some thousands of steps
            to forget the start; DARP's code sets it and does not apply it, so that it has 0.1.
        attention: whether the last map passes `ModulatedAttention`.

    Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016; activation, initialisation and the activated shortcut of
    the first block as in the code of Sohn et al. 2020. Ports to torch differ in the first block of the later stages:
    their first convolution reads the block's input without batch norm and activation.
    """
    Range(1, integer=True).check("width", width)
    Range(0, 1).check("momentum", momentum)
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth must be 6 k + 4 with k >= 1 for a wide_resnet, got {depth!r}; 28 is usual")
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ValueError(
            f"input_shape must be (C, H, W) with H, W >= 4 for a wide_resnet, got {shape}; use mlp or convnet"
        )
    widths, blocks = (16 * width, 32 * width, 64 * width), (depth - 4) // 6
    kinds = [
        (channels if j else before, channels, stage, j == 0)
        for stage, (before, channels) in enumerate(pairwise([16, *widths]))
        for j in range(blocks)
    ]
    shared = len(kinds) - 1 if late else blocks

    def block(before: int, after: int, stage: int, first: bool) -> nn.Module:
        layer = PreActivationBlock(
            before,
            after,
            stride=2 if first and stage > 0 else 1,
            activated_shortcut=first and stage == 0,
            momentum=momentum,
        )
        return starts_stage(layer) if first and stage > 0 else layer

    def own() -> list[nn.Module]:
        end = [nn.BatchNorm2d(widths[-1], momentum=momentum), nn.LeakyReLU(SLOPE), GlobalMean()]
        if attention:
            end.insert(-1, ModulatedAttention(widths[-1], quartered(shape)))
        return [*starmap(block, kinds[shared:]), *end]

    layers = [_convolution(shape[0], 16), *starmap(block, kinds[:shared]), *branched(branches, own)]
    return nn.Sequential(*layers), branches * widths[-1]


class PreActivationBlock(nn.Module):
    """a = f(bn(x)), shortcut + conv(f(bn(conv(a)))), f LeakyReLU.

    The shortcut is x (a, if `activated_shortcut`), through a 1x1 convolution where the number of channels changes.
    """

    def __init__(self, before: int, after: int, *, stride: int, activated_shortcut: bool, momentum: float) -> None:
        super().__init__()
        self.activated_shortcut = activated_shortcut
        self.bn1 = nn.BatchNorm2d(before, momentum=momentum)
        self.conv1 = _convolution(before, after, stride)
        self.bn2 = nn.BatchNorm2d(after, momentum=momentum)
        self.conv2 = _convolution(after, after)
        self.shortcut = nn.Identity() if before == after else _convolution(before, after, stride, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H / stride, W / stride)."""
        activated = F.leaky_relu(self.bn1(x), SLOPE)
        shortcut: Tensor = self.shortcut(activated if self.activated_shortcut else x)
        out: Tensor = self.conv2(F.leaky_relu(self.bn2(self.conv1(activated)), SLOPE))
        return out + shortcut


def _convolution(before: int, after: int, stride: int = 1, size: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    return layer
