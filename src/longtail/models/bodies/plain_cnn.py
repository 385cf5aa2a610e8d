"""Plain convolutional networks of the experiments with wrong labels: those of SCE and of co-teaching, by name."""

from __future__ import annotations

from torch import nn

from longtail.facts.knobs import Range
from longtail.models.bodies.resnet import GlobalMean
from longtail.models.bodies.small import Body, Shape
from longtail.models.bodies.stages import starts_stage

SCE_WIDTHS = (64, 128, 196)
SCE_HIDDEN = 256
COTEACHING_WIDTHS = (128, 256, 512, 256, 128)
SLOPE = 0.01
"""Of co-teaching's leaky ReLU below 0."""
SMALLEST_SCE, SMALLEST_COTEACHING = 8, 28
"""Least height and width, of which poolings and unpadded convolutions leave one pixel."""
SHARE = Range(0, 1, open_high=True)


def sce_cnn(shape: Shape) -> Body:
    """Six 3x3 convolutions in three blocks of 64, 128 and 196 channels, then 256 hidden units; D = 256.

    Each convolution (padded, with bias) is followed by batch norm and ReLU, each block of two by a 2x2 maximum of
    stride 2; the last map is flattened (3,136 values of a 32x32 image) and passes one linear layer, batch norm and
    ReLU. With the linear head these are 8 layers with weights; SCE's paper says 8, ABSGD's calls it a 4-layer CNN.
    Weights are He-normal (fan-in), biases 0. With a linear head on 10 classes and 3x32x32 images it has 1,639,794
    parameters.

    SCE's code puts an L2 penalty of 0.01 on weight and bias of the layer of 256 units and none elsewhere, and ABSGD's
    code keeps that beside its own weight decay on all else. A recipe here has one weight decay for all parameters, so
    that this part of theirs is not reproduced.

    Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, ICCV 2019 (its code); also table 6 of
    Qi et al. 2023 (ABSGD).

    Args:
        shape: (C, H, W), H and W >= 8.
    """
    channels, height, breadth = _image(shape, SMALLEST_SCE, "an sce-cnn")
    layers: list[nn.Module] = []
    before = channels
    for width in SCE_WIDTHS:
        first = _block(before, width)
        layers += [starts_stage(first[0]), *first[1:], *_block(width, width), nn.MaxPool2d(2)]
        before = width
    hidden = _he(nn.Linear(before * (height // 8) * (breadth // 8), SCE_HIDDEN))
    layers += [nn.Flatten(), starts_stage(hidden), nn.BatchNorm1d(SCE_HIDDEN), nn.ReLU()]
    return nn.Sequential(*layers), SCE_HIDDEN


def coteaching_cnn(shape: Shape, *, dropout: float = 0.25) -> Body:
    """Nine 3x3 convolutions: three of 128 and three of 256 channels, then 512, 256 and 128; D = 128.

    Each is followed by batch norm and a leaky ReLU of slope 0.01, each of the first two threes by a 2x2 maximum of
    stride 2 and dropout of whole channels. The last three are not padded; their map is averaged over the image. Weights
    and biases keep torch's own initialisation. With a linear head on 10 classes and 3x32x32 images it has 4,434,570
    parameters.

    Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels, NeurIPS 2018, table 2
    and its code.

    Args:
        shape: (C, H, W), H and W >= 28.
        dropout: share of the channels that are dropped.
    """
    channels, _, _ = _image(shape, SMALLEST_COTEACHING, "a coteaching-cnn")
    SHARE.check("dropout", dropout)
    layers: list[nn.Module] = []
    before = channels
    for width in COTEACHING_WIDTHS[:2]:
        for j in range(3):
            first, *rest = _leaky(before if j == 0 else width, width, padding=1)
            layers += [first if j else starts_stage(first), *rest]
        layers += [nn.MaxPool2d(2), nn.Dropout2d(dropout)]
        before = width
    for j, width in enumerate(COTEACHING_WIDTHS[2:]):
        first, *rest = _leaky(before, width, padding=0)
        layers += [first if j else starts_stage(first), *rest]
        before = width
    return nn.Sequential(*layers, GlobalMean()), before


def _block(before: int, after: int) -> tuple[nn.Module, ...]:
    return _he(nn.Conv2d(before, after, 3, padding=1)), nn.BatchNorm2d(after), nn.ReLU()


def _leaky(before: int, after: int, padding: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, padding=padding), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)


def _he(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _image(shape: Shape, smallest: int, network: str) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape[1:]) < smallest:
        raise ValueError(
            f"input_shape must be (C, H, W) with H, W >= {smallest} for {network}, got {shape}; use mlp or convnet"
        )
    return shape[0], shape[1], shape[2]
