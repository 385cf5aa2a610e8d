"""RandAugment with magnitudes drawn at random, as semi-supervised learning uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from longtail.data.views import by_row, colour, geometry
from longtail.data.views.types import Augmentation, Numbers

Operation = Callable[[Tensor, Tensor], Tensor]
"""(uint8 images (B, K, H, W), value (B,) float64) -> uint8 images of the same shape."""

POOL: dict[str, tuple[Operation, float, float]] = {
    "auto_contrast": (colour.auto_contrast, 0.0, 1.0),
    "brightness": (colour.brightness, 0.05, 0.95),
    "colour": (colour.colour, 0.05, 0.95),
    "contrast": (colour.contrast, 0.05, 0.95),
    "equalize": (colour.equalize, 0.0, 1.0),
    "identity": (colour.identity, 0.0, 1.0),
    "posterize": (colour.posterize, 4.0, 8.0),
    "rotate": (geometry.rotate, -30.0, 30.0),
    "sharpness": (colour.sharpness, 0.05, 0.95),
    "shear_x": (geometry.shear_x, -0.3, 0.3),
    "shear_y": (geometry.shear_y, -0.3, 0.3),
    "solarize": (colour.solarize, 0.0, 256.0),
    "translate_x": (geometry.translate_x, -0.3, 0.3),
    "translate_y": (geometry.translate_y, -0.3, 0.3),
}
"""Operation and range of its value: table 12 of Sohn et al. 2020, with the numbers of USB's code."""


@dataclass(frozen=True)
class RandAugment(Augmentation):
    """`operations` changes an image, each drawn from the pool of 14, its value uniform in the operation's range.

    The variant of FixMatch and USB: no global magnitude. USB applies n = 3, always; the first FixMatch n = 2, each with
    probability 0.5 in a public port. Cubuk et al. 2020 fix the magnitude instead.
    """

    operations: int = 3

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the operations of every image, numbers of the pool, and their values in [0, 1): (rows, n) both."""
        size = (rows, self.operations)
        chosen = torch.randint(len(POOL), size, generator=generator)
        return chosen, torch.rand(size, generator=generator, dtype=torch.float64)

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return uint8 images (B, K, H, W)."""
        change = grouped if inputs.device.type == "cpu" else selected
        for chosen, share in zip(*(values.unbind(1) for values in numbers), strict=True):
            inputs = change(inputs, chosen, share)
        return inputs


def grouped(images: Tensor, chosen: Tensor, share: Tensor) -> Tensor:
    """Change every image by its operation, the images of one operation together: their number depends on values."""
    return by_row.grouped(images, chosen, _ways(), share)


def selected(images: Tensor, chosen: Tensor, share: Tensor) -> Tensor:
    """Return the same with every operation on all images, one result an image chosen: nothing depends on values."""
    return by_row.selected(images, chosen, _ways(), share)


def _ways() -> list[by_row.Way | None]:
    return [None if way[0] is colour.identity else partial(_at, *way) for way in POOL.values()]


def _at(operation: Operation, low: float, high: float, images: Tensor, share: Tensor) -> Tensor:
    return operation(images, low + (high - low) * share)
