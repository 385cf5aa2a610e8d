"""ResNet-18, -34, -50, -101 and -152: four stages, with a stem for small images or the usual one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise, starmap

import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.default_network import LARGE
from longtail.facts.messages import quoted
from longtail.models.bodies.branches import branched, narrowed
from longtail.models.bodies.resnet import BasicBlock, GlobalMean
from longtail.models.bodies.small import Body, Shape
from longtail.models.bodies.stages import starts_stage

WIDTHS_18 = (64, 128, 256, 512)
STEMS = ("auto", "3x3", "7x7")


class Bottleneck(nn.Module):
    """relu(bn(conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(x)))))))) + shortcut(x)), with 4 times as many channels outside.

    The 3x3 convolution has the stride (v1.5; in the paper it is the first 1x1). The shortcut is x, or a 1x1
    convolution and batch norm where the size changes.
    """

    EXPANSION = 4

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = width * self.EXPANSION
        self.conv1 = convolution(before, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, after, 1)
        self.bn3 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module | None = None
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(convolution(before, after, 1, stride), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 4 width, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + (x if self.shortcut is None else self.shortcut(x)))


def resnet18(
    shape: Shape,
    *,
    stem: str = "auto",
    zero_init: bool = False,
    branches: int = 1,
    narrow: float = 1.0,
    late: bool = False,
) -> Body:
    """Four stages of 2, 2, 2 and 2 basic blocks with 64 to 512 channels; D = 512.

    Option-B shortcuts (a 1x1 convolution and batch norm where the size changes), Kaiming-normal convolutions (fan-in)
    without bias. With a linear head on 10 classes and the 3x3 stem it has 11,173,962 parameters, on 1000 classes with
    the 7x7 stem 11,689,512.

    Args:
        shape: (C, H, W), H and W >= 4.
        stem: "3x3", a convolution of stride 1 without pooling, for images of CIFAR's size; "7x7", a convolution of
            stride 2 and a 3x3 maximum of stride 2, as on ImageNet; "auto" is "7x7" from 96 pixels on, else "3x3".
        zero_init: the last batch norm of each block starts at weight 0, so that every block starts as its shortcut
            (and the ReLU).
        branches: the stem and the first stage are shared and each branch has the other three.
        narrow: share of the widths of the stages that the branches have.
        late: branches have the last block alone.

    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, table 1; `zero_init`: Goyal et al. 2017,
    section 5.1.
    """
    return _body("resnet18", BasicBlock, (2, 2, 2, 2), shape, stem, zero_init, branches, narrow, late)


def resnet34(
    shape: Shape,
    *,
    stem: str = "auto",
    zero_init: bool = False,
    branches: int = 1,
    narrow: float = 1.0,
    late: bool = False,
) -> Body:
    """As `resnet18` with 3, 4, 6 and 3 basic blocks; D = 512. 21,797,672 parameters (1000 classes, 7x7 stem)."""
    return _body("resnet34", BasicBlock, (3, 4, 6, 3), shape, stem, zero_init, branches, narrow, late)


def resnet50(
    shape: Shape,
    *,
    stem: str = "auto",
    zero_init: bool = False,
    branches: int = 1,
    narrow: float = 1.0,
    late: bool = False,
) -> Body:
    """As `resnet18` with 3, 4, 6 and 3 blocks of `Bottleneck`; D = 2048. 25,557,032 parameters (1000 classes, 7x7)."""
    return _body("resnet50", Bottleneck, (3, 4, 6, 3), shape, stem, zero_init, branches, narrow, late)


def resnet101(
    shape: Shape,
    *,
    stem: str = "auto",
    zero_init: bool = False,
    branches: int = 1,
    narrow: float = 1.0,
    late: bool = False,
) -> Body:
    """As `resnet50` with 3, 4, 23 and 3 blocks; D = 2048. 44,549,160 parameters (1000 classes, 7x7 stem)."""
    return _body("resnet101", Bottleneck, (3, 4, 23, 3), shape, stem, zero_init, branches, narrow, late)


def resnet152(
    shape: Shape,
    *,
    stem: str = "auto",
    zero_init: bool = False,
    branches: int = 1,
    narrow: float = 1.0,
    late: bool = False,
) -> Body:
    """As `resnet50` with 3, 8, 36 and 3 blocks; D = 2048. 60,192,808 parameters (1000 classes, 7x7 stem)."""
    return _body("resnet152", Bottleneck, (3, 8, 36, 3), shape, stem, zero_init, branches, narrow, late)


def _body(
    name: str,
    kind: type[BasicBlock] | type[Bottleneck],
    blocks: Sequence[int],
    shape: Shape,
    stem: str,
    zero_init: bool,
    branches: int,
    narrow: float,
    late: bool,
) -> Body:
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ValueError(f"input_shape must be (C, H, W) with H, W >= 4 for a {name}, got {shape}; use mlp or convnet")
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}, got {quoted(stem)}; leave it out")
    factor = kind.EXPANSION if kind is Bottleneck else 1
    widths = [WIDTHS_18[0], *(narrowed(width, narrow) for width in WIDTHS_18[1:])]
    outer = [WIDTHS_18[0], *(factor * width for width in widths)]
    kinds = [
        (after if j else before, width, 2 if stage and not j else 1)
        for stage, ((before, after), width) in enumerate(zip(pairwise(outer), widths, strict=True))
        for j in range(blocks[stage])
    ]
    shared = len(kinds) - 1 if late else blocks[0]
    make = partial(_block, kind, zero_init)

    def own() -> list[nn.Module]:
        return [*starmap(make, kinds[shared:]), GlobalMean()]

    # the stem's weights are drawn last
    stages = [*starmap(make, kinds[:shared]), *branched(branches, own)]
    large = stem == "7x7" or (stem == "auto" and min(shape[1:]) >= LARGE)
    return nn.Sequential(*_stem(shape[0], large), *stages), branches * outer[-1]


def _stem(channels: int, large: bool) -> list[nn.Module]:
    first = convolution(channels, WIDTHS_18[0], 7, 2) if large else convolution(channels, WIDTHS_18[0], 3)
    pool = [nn.MaxPool2d(3, stride=2, padding=1)] if large else []
    return [first, nn.BatchNorm2d(WIDTHS_18[0]), nn.ReLU(), *pool]


def _block(kind: Callable[..., nn.Module], zero_init: bool, before: int, width: int, stride: int) -> nn.Module:
    block = kind(before, width, stride, projected=True) if kind is BasicBlock else kind(before, width, stride)
    last = block.get_submodule("bn2" if kind is BasicBlock else "bn3")
    if zero_init:
        nn.init.zeros_(last.get_parameter("weight"))
    return block if stride == 1 else starts_stage(block)


def convolution(before: int, after: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that pads by half of its size, Kaiming-normal (fan-in)."""
    layer = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    return layer
