"""ResNet-32 for 32x32 images, as long-tailed CIFAR is reported with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise, starmap

import torch.nn.functional as F
from torch import Tensor, nn

from longtail.models.bodies.attention import ModulatedAttention
from longtail.models.bodies.branches import branched, narrowed
from longtail.models.bodies.small import Body, Shape
from longtail.models.bodies.stages import starts_stage

WIDTHS = (16, 32, 64)
BLOCKS = 5


def resnet32(
    shape: Shape,
    *,
    widths: Sequence[int] = WIDTHS,
    blocks: int = BLOCKS,
    branches: int = 1,
    narrow: float = 1.0,
    attention: bool = False,
    late: bool = False,
    projected: bool = False,
) -> Body:
    """6 blocks + 2 layers deep: 3x3 stem, three stages of `blocks` basic blocks, average over the image; D = 64.

    Option-A shortcuts (every second pixel, zero channels on both sides, no parameters), ReLU after the addition,
    Kaiming-normal convolutions (fan-in) without bias. With a linear head on 10 classes it has 464,154 parameters,
    with a cosine head 464,144.

    With `branches` the stem and the first stage are shared and each branch has the other two, at the share `narrow` of
    their widths (24 and 48 at 0.75, as in RIDE's code), or only the last block, if `late` (BBN's code); D is that of
    all branches. With `attention` the last map passes `ModulatedAttention`. With `projected` shortcuts that change the
    size are option B: a 1x1 convolution and batch norm.

    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2; initialised as in the code of
    Cao et al. 2019.
    """
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ValueError(
            f"input_shape must be (C, H, W) with H, W >= 4 for a resnet32, got {shape}; use mlp or convnet"
        )
    widths = [widths[0], *(narrowed(width, narrow) for width in widths[1:])]
    kinds = [
        (width if j else before, width, 2 if stage and not j else 1)
        for stage, (before, width) in enumerate(pairwise([widths[0], *widths]))
        for j in range(blocks)
    ]
    shared = len(kinds) - 1 if late else blocks
    block = partial(_block, projected=projected)

    def own() -> list[nn.Module]:
        attended = [ModulatedAttention(widths[-1], quartered(shape))] if attention else []
        return [*starmap(block, kinds[shared:]), *attended, GlobalMean()]

    # the stem's weights are drawn last
    stages = [*starmap(block, kinds[:shared]), *branched(branches, own)]
    body = nn.Sequential(_convolution(shape[0], widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU(), *stages)
    return body, branches * widths[-1]


def quartered(shape: Shape) -> tuple[int, int]:
    """Return the size of an image's map (H, W) after two layers of stride 2."""
    return -(-shape[-2] // 4), -(-shape[-1] // 4)


def _block(before: int, after: int, stride: int, projected: bool) -> nn.Module:
    block = BasicBlock(before, after, stride, projected)
    return block if stride == 1 else starts_stage(block)


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))."""

    def __init__(self, before: int, after: int, stride: int, projected: bool = False) -> None:
        super().__init__()
        self.conv1 = _convolution(before, after, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride = stride
        self.pad = (after - before) // 2
        self.shortcut: nn.Module | None = None
        if projected and (stride > 1 or self.pad):
            projection = nn.Conv2d(before, after, 1, stride=stride, bias=False)
            nn.init.kaiming_normal_(projection.weight)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.shortcut is not None:
            return F.relu(out + self.shortcut(x))
        if self.stride > 1 or self.pad:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(out + x)


class GlobalMean(nn.Module):
    """(N, K, H, W) -> (N, K)."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean over the image."""
        return x.mean((2, 3))


def _convolution(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    return layer
