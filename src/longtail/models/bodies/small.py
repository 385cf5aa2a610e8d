"""Bodies: standardised inputs -> features (N, D). Each returns the module and its D.

Weights before a ReLU are Kaiming-normal (fan-out), drawn from torch's global generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from longtail.facts.default_network import SMALLEST
from longtail.facts.knobs import Range
from longtail.models.bodies.attention import ModulatedAttention
from longtail.models.bodies.branches import branched, narrowed
from longtail.models.bodies.stages import starts_stage

Shape = tuple[int, ...]
Body = tuple[nn.Module, int]


def linear(shape: Shape, *, branches: int = 1, narrow: float = 1.0, late: bool = False) -> Body:
    """The inputs themselves, flattened: with a linear head this is multinomial logistic regression.

    With `branches` each of them has all inputs.
    """
    return mlp(shape, hidden=(), branches=branches, narrow=narrow, late=late)


def mlp(
    shape: Shape,
    *,
    hidden: Sequence[int] = (128, 128),
    dropout: float = 0.0,
    branches: int = 1,
    narrow: float = 1.0,
    late: bool = False,
) -> Body:
    """Fully connected layers of the given widths, each followed by ReLU and dropout.

    With `branches` the first layer is shared and each branch has the others, at the share `narrow` of their widths; if
    `late`, all layers but the last are shared.
    """
    for width in hidden:
        Range(1, integer=True).check("hidden", width)
    Range(0, 1, open_high=True).check("dropout", dropout)
    shared = max(len(hidden) - 1, 0) if late else 1
    widths = [math.prod(shape), *hidden[:shared], *(narrowed(width, narrow) for width in hidden[shared:])]

    def layers(widths: Sequence[int]) -> list[nn.Module]:
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        return [layer for a, b in pairwise(widths) for layer in (_kaiming(nn.Linear(a, b)), nn.ReLU(), *drop)]

    def own() -> list[nn.Module]:
        return [starts_stage(layer) if isinstance(layer, nn.Linear) else layer for layer in layers(widths[shared:])]

    body = nn.Sequential(nn.Flatten(), *layers(widths[: shared + 1]), *branched(branches, own))
    return body, branches * widths[-1]


def convnet(
    shape: Shape,
    *,
    width: int = 16,
    branches: int = 1,
    narrow: float = 1.0,
    attention: bool = False,
    late: bool = False,
) -> Body:
    """Two blocks of 3x3 convolution, batch norm and ReLU, for images of 8x8 to 28x28 pixels or a bit more.

    The first block halves the image, the second is averaged over its four quarters: D = 8 width. Quarters,
    not the whole image, since the place of a stroke distinguishes small digits. With `branches` the first block is
    shared and each branch has the second, at the share `narrow` of its width; `late` changes nothing. With `attention`
    the last map passes `ModulatedAttention`.
    """
    Range(1, integer=True).check("width", width)
    channels, height, breadth = _image(shape)
    quarter = (height // 2 // 2, breadth // 2 // 2)
    second = narrowed(2 * width, narrow)

    def own() -> list[nn.Module]:
        first, *rest = _block(width, second)
        attended = [ModulatedAttention(second, (height // 2, breadth // 2))] if attention else []
        return [starts_stage(first), *rest, *attended, nn.AvgPool2d(quarter), nn.Flatten()]

    body = nn.Sequential(*_block(channels, width), nn.AvgPool2d(2), *branched(branches, own))
    return body, branches * second * 2 * 2


def _block(before: int, after: int) -> tuple[nn.Module, ...]:
    convolution = _kaiming(nn.Conv2d(before, after, 3, padding=1, bias=False))
    return convolution, nn.BatchNorm2d(after), nn.ReLU()


def _kaiming(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _image(shape: Shape) -> tuple[int, int, int]:
    if len(shape) not in (2, 3) or min(shape[-2:]) < SMALLEST:
        raise ValueError(
            f"input_shape must be (H, W) or (C, H, W) with H, W >= {SMALLEST} for a convnet, got {shape}; use mlp"
        )
    return (1, *shape) if len(shape) == 2 else shape  # type: ignore[return-value]
