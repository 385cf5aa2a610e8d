"""Changes of a given magnitude for every row: one of fifteen operations on images, masked columns, noise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from longtail.data.views import by_row, colour, geometry
from longtail.data.views.cutout import Cutout
from longtail.data.views.masking import Masking
from longtail.data.views.noise import Noise
from longtail.data.views.pixels import InUint8
from longtail.data.views.types import Augmentation, Numbers, RandomNumbers

Operation = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(uint8 images (B, K, H, W), value (B,) float64, place (B, 2) in [0, 1)) -> uint8 images of the same shape."""


class Graded(RandomNumbers):
    """A random change of inputs whose magnitude is given row by row, when the batch is made."""

    @abstractmethod
    def at(self, inputs: Tensor, numbers: Numbers, magnitude: Tensor, applied: Tensor) -> Tensor:
        """Return inputs (B, ...) of the same shape and dtype; nothing depends on values or waits for the device.

        Args:
            inputs: of a batch.
            numbers: those of its rows, as `draw` returned them.
            magnitude: (B,) in [0, 1], the share of the largest.
            applied: (B,) bool; the other rows stay as they are, to the bit.
        """


def _plain(operation: Callable[[Tensor, Tensor], Tensor], images: Tensor, value: Tensor, place: Tensor) -> Tensor:
    return operation(images, value)


def _cutout(images: Tensor, value: Tensor, place: Tensor) -> Tensor:
    """Paint a square whose side is `value` widths over the image."""
    return Cutout(largest=1.0).apply(images, (torch.cat([value[:, None], place], 1),))


POOL: dict[str, tuple[Operation, float, float, bool]] = {
    "shear_x": (partial(_plain, geometry.shear_x), 0.0, 0.6, True),
    "shear_y": (partial(_plain, geometry.shear_y), 0.0, 0.6, True),
    "translate_x": (partial(_plain, geometry.translate_x), 0.0, 0.66, True),
    "translate_y": (partial(_plain, geometry.translate_y), 0.0, 0.66, True),
    "rotate": (partial(_plain, geometry.rotate), 0.0, 60.0, True),
    "auto_contrast": (partial(_plain, colour.auto_contrast), 0.0, 1.0, False),
    "invert": (partial(_plain, colour.solarize), 0.0, 0.0, False),
    "equalize": (partial(_plain, colour.equalize), 0.0, 1.0, False),
    "solarize": (partial(_plain, colour.solarize), 0.0, 110.0, False),
    "posterize": (partial(_plain, colour.posterize), 4.0, 8.0, False),
    "contrast": (partial(_plain, colour.contrast), 0.1, 1.9, False),
    "colour": (partial(_plain, colour.colour), 0.1, 1.9, False),
    "brightness": (partial(_plain, colour.brightness), 0.1, 1.9, False),
    "sharpness": (partial(_plain, colour.sharpness), 0.1, 1.9, False),
    "cutout": (_cutout, 0.0, 0.4, False),
}
"""Operation, its values at magnitude 0 and 1, and whether its sign is drawn: those of BCL's code.

A larger magnitude is not a stronger change in all of them: posterize keeps more bits, solarize inverts fewer levels,
and contrast, colour, brightness and sharpness change nothing in the middle, at 1.
"""


@dataclass(frozen=True)
class OneOperation(Graded):
    """One of the fifteen operations of `POOL` on every image; value = low + magnitude (high - low).

    For images that are not uint8 as in `InUint8`. The pool is that of BCL (Zhou et al. 2022); its comment says 16.
    """

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the operation of every image (rows,), whether its sign is turned (rows,), and a place (rows, 2)."""
        chosen = torch.randint(len(POOL), (rows,), generator=generator)
        turned = torch.rand(rows, generator=generator) < 0.5
        return chosen, turned, torch.rand(rows, 2, generator=generator, dtype=torch.float64)

    def at(self, inputs: Tensor, numbers: Numbers, magnitude: Tensor, applied: Tensor) -> Tensor:
        """Return images (B, H, W) or (B, K, H, W)."""
        chosen, turned, place = numbers
        changed = InUint8(_Chosen()).apply(inputs, (torch.where(applied, chosen, -1), magnitude, turned, place))
        if inputs.dtype == torch.uint8:
            return changed
        return torch.where(_each(applied, inputs), changed, inputs)  # floats were rounded to 256 levels


@dataclass(frozen=True)
class _Chosen(Augmentation):
    """The operations of `POOL` that were chosen, on uint8 images."""

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        return OneOperation().draw(rows, shape, generator)

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        chosen, magnitude, turned, place = numbers
        change = by_row.grouped if inputs.device.type == "cpu" else by_row.selected
        return change(inputs, chosen, [partial(_at, *way) for way in POOL.values()], magnitude, turned, place)


def _at(
    operation: Operation, low: float, high: float, signed: bool, images: Tensor, magnitude: Tensor, turned: Tensor,
    place: Tensor,
) -> Tensor:  # fmt: skip
    value = low + (high - low) * magnitude.double()
    return operation(images, torch.where(turned, -value, value) if signed else value, place)


@dataclass(frozen=True)
class GradedMasking(Graded):
    """`Masking` whose share of replaced columns is magnitude x `share`: ours, BCL is for images alone.

    Args:
        share: at magnitude 1.
        sources: as in `Masking`.
    """

    share: float = 0.6
    sources: tuple[int, ...] | None = None

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return U(0, 1) of every column's source, and the place in [0, 1) of the other row in the batch."""
        source = torch.arange(shape[0]) if self.sources is None else torch.tensor(self.sources)
        size = (rows, int(source.max()) + 1)
        return tuple(torch.rand(size, generator=generator)[:, source] for _ in range(2))

    def at(self, inputs: Tensor, numbers: Numbers, magnitude: Tensor, applied: Tensor) -> Tensor:
        """Return rows (B, D) of a table."""
        drawn, place = numbers
        replaced = (drawn < self.share * magnitude[:, None]) & applied[:, None]
        return Masking().apply(inputs, (replaced, place))


@dataclass(frozen=True)
class GradedNoise(Graded):
    """`Noise` of the standard deviation magnitude x `sigma`: ours, BCL is for images alone."""

    sigma: float = 1.0

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the noise, (rows, D) float32."""
        return Noise().draw(rows, shape, generator)

    def at(self, inputs: Tensor, numbers: Numbers, magnitude: Tensor, applied: Tensor) -> Tensor:
        """Return features (B, D)."""
        (noise,) = numbers
        changed = Noise(self.sigma).apply(inputs, (noise * magnitude.to(noise.dtype)[:, None],))
        return torch.where(applied[:, None], changed, inputs)


def _each(values: Tensor, inputs: Tensor) -> Tensor:
    return values.reshape(-1, *(1,) * (inputs.ndim - 1))
