"""PreAct-ResNet-18 for small images, as selection of confident pairs (Sel-CL) is reported with."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from longtail.models.bodies.branches import narrowed
from longtail.models.bodies.deep_resnet import WIDTHS_18, convolution
from longtail.models.bodies.resnet import GlobalMean
from longtail.models.bodies.small import Body, Shape
from longtail.models.bodies.stages import starts_stage


class PreActBlock(nn.Module):
    """shortcut + conv3x3(relu(bn(conv3x3(a)))), a = relu(bn(x)).

    The shortcut is x or, where the size changes, a 1x1 convolution of a, without batch norm.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = convolution(before, after, 3, stride)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = convolution(after, after, 3)
        self.shortcut = convolution(before, after, 1, stride) if stride > 1 or before != after else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H / stride, W / stride)."""
        activated = F.relu(self.bn1(x))
        out: Tensor = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return out + (x if self.shortcut is None else self.shortcut(activated))


def preact_resnet18(shape: Shape, *, narrow: float = 1.0) -> Body:
    """Four stages of two pre-activated blocks with 64 to 512 channels behind a 3x3 stem; D = 512.

    The mean over the image follows the last addition at once: no batch norm and no ReLU in between, as in the ports to
    torch that work with wrong labels; the paper has both. Kaiming-normal convolutions (fan-in) without bias. With a
    linear head on 10 classes and 3x32x32 images it has 11,171,146 parameters.

    He et al., Identity Mappings in Deep Residual Networks, ECCV 2016; used by Li et al. 2022 (Sel-CL).

    Args:
        shape: (C, H, W), H and W >= 4.
        narrow: share of the widths of the stages but the first.
    """
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ValueError(
            f"input_shape must be (C, H, W) with H, W >= 4 for a preact-resnet18, got {shape}; use mlp or convnet"
        )
    widths = [WIDTHS_18[0], *(narrowed(width, narrow) for width in WIDTHS_18[1:])]
    layers: list[nn.Module] = [convolution(shape[0], widths[0], 3)]
    for stage, (before, after) in enumerate(pairwise([widths[0], *widths])):
        first = PreActBlock(before, after, 2 if stage else 1)
        layers += [starts_stage(first) if stage else first, PreActBlock(after, after, 1)]
    return nn.Sequential(*layers, GlobalMean()), widths[-1]
