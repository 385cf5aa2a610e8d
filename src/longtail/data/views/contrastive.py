"""The contrastive view of images: random resized crop, mirror, colour jitter, grey, blur; batched, on their device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.data.views.blur import gaussian_blur
from longtail.data.views.types import Augmentation, Numbers

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of a pixel (ITU-R 601)."""
TRIES = 10
"""Crops drawn for each image; the first that fits is used, the whole image where none does."""
SMALLEST_CROP = 5
"""Side in pixels of the smallest square crop: 0.1 of an image of 8 x 8 would be 2.5 x 2.5."""


@dataclass(frozen=True)
class Contrast(Augmentation):
    """The view that contrastive learning compares, in the strength of the papers on long-tailed CIFAR.

    A crop of U(scale) of the area and of log-uniform aspect ratio, resized to the whole (bilinear); mirrored with
    probability 0.5; with probability `jittered` brightness, contrast and saturation x U(1 - s, 1 + s) and hue
    + U(-s, s), the first three in an order of the image's own and hue last; grey with probability `grey`. Without three
    channels there is no saturation, hue or grey. Then, with probability `blurred`, a Gaussian blur of U(sigma) pixels,
    over a window of a tenth of the side; with probability `solarised` levels from 0.5 on are inverted.

    Args:
        scale: smallest and largest share of the area; raised where a crop would have a side below `SMALLEST_CROP`.
        ratio: smallest and largest width / height of a crop.
        flip: whether images are mirrored.
        jitter: s of brightness, contrast, saturation and hue (in turns).
        jittered, grey, blurred, solarised: probabilities.
        sigma: smallest and largest standard deviation of the blur.

    Reference: SDCLR, BCL and TS on CIFAR (their crops are bicubic, which is not built; those of GH bilinear). Blur:
    SimCLR, appendix A, whose images continue with black; solarised: BYOL, appendix B. `view_sets` has their strengths.
    """

    scale: tuple[float, float] = (0.1, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    jittered: float = 0.8
    grey: float = 0.2
    blurred: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarised: float = 0.0

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return for every image its crop (rows, 4), mirroring, U(0, 1) of jitters and grey (rows, 6), and their order.

        Where there is a blur or solarising, U(0, 1) of blur, sigma and solarising, too (rows, 3). The boxes are made
        here: another device may round their roots and exponentials to another pixel.
        """
        boxes = torch.stack(self._boxes(rows, shape[-2], shape[-1], generator), 1)
        mirrored = torch.rand(rows, generator=generator) < (0.5 if self.flip else 0.0)
        draws = torch.rand(rows, 6, generator=generator)
        order = torch.rand(rows, 3, generator=generator).argsort(1)
        late = (torch.rand(rows, 3, generator=generator),) if self.blurred or self.solarised else ()
        return boxes, mirrored, draws, order, *late

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return images (B, H, W) or (B, K, H, W) of the same shape and dtype.

        uint8, or floats: in [0, 1], or else in the range of the batch.
        """
        if inputs.ndim == 3:
            return self.apply(inputs.unsqueeze(1), numbers).squeeze(1)
        if inputs.dtype == torch.uint8:
            return (self._changed(inputs.float() / 255, numbers) * 255).round().to(torch.uint8)
        # tensors, so that nothing waits for the device
        low, high = inputs.amin().clamp(max=0), inputs.amax().clamp(min=1)
        return (low + (high - low) * self._changed((inputs - low) / (high - low), numbers)).to(inputs.dtype)

    def _changed(self, x: Tensor, numbers: Numbers) -> Tensor:
        """Change images (B, K, H, W) of values in [0, 1]."""
        boxes, mirrored, draws, order, *late = numbers
        x, draws = _cropped(x, boxes, mirrored), draws.to(x.dtype)
        factors = torch.stack([1 + s * (2 * u - 1) for s, u in zip(self.jitter[:3], draws.unbind(1), strict=False)], 1)
        changed = x
        for kind in order.unbind(1):
            changed = _blended(changed, kind, factors.gather(1, kind[:, None]))
        if x.shape[1] == 3:
            changed = _hue_turned(changed, self.jitter[3] * (2 * draws[:, 3] - 1))
        x = torch.where(_each(draws[:, 4] < self.jittered), changed, x)
        x = torch.where(_each(draws[:, 5] < self.grey), _grey(x), x) if x.shape[1] == 3 else x
        for blur, share, solarise in (numbers.to(x.dtype).unbind(1) for numbers in late):
            if self.blurred:
                low, high = self.sigma
                x = torch.where(_each(blur < self.blurred), gaussian_blur(x, low + (high - low) * share), x)
            x = torch.where(_each(solarise < self.solarised) & (x >= 0.5), 1 - x, x)
        return x

    def _boxes(self, size: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return top, left, height and width (B,) of one crop for each image."""
        smallest = min(self.scale[1], max(self.scale[0], SMALLEST_CROP**2 / (height * width)))
        u = torch.rand(2, TRIES, size, generator=generator)
        area = (smallest + (self.scale[1] - smallest) * u[0]) * height * width
        low, high = map(math.log, self.ratio)
        aspect = torch.exp(low + (high - low) * u[1])
        wide, tall = (area * aspect).sqrt().round().clamp(min=1), (area / aspect).sqrt().round().clamp(min=1)
        fits = (wide <= width) & (tall <= height)
        first = fits.int().argmax(0, keepdim=True)
        wide, tall = (side.gather(0, first).squeeze(0) for side in (wide, tall))
        whole = ~fits.any(0)
        wide, tall = torch.where(whole, float(width), wide), torch.where(whole, float(height), tall)
        u = torch.rand(2, size, generator=generator)
        return (u[0] * (height - tall + 1)).floor(), (u[1] * (width - wide + 1)).floor(), tall, wide


def _cropped(x: Tensor, boxes: Tensor, mirrored: Tensor) -> Tensor:
    """Crop, resize and mirror; outside its crop an image continues with the crop's border."""
    size, _, height, width = x.shape
    top, left, tall, wide = boxes.unbind(1)
    y, columns = _positions(height, top, tall), _positions(width, left, wide)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    grid = torch.stack(
        [
            ((2 * columns + 1) / width - 1)[:, None, :].expand(size, height, width),
            ((2 * y + 1) / height - 1)[:, :, None].expand(size, height, width),
        ],
        dim=-1,
    )
    return F.grid_sample(x, grid.to(x.dtype), padding_mode="border", align_corners=False).clamp(0, 1)


def _positions(size: int, start: Tensor, length: Tensor) -> Tensor:
    """Return (B, size): where in the image each pixel of a resized crop lies, between its first and last pixel."""
    start, length = start[:, None], length[:, None]
    place = start + (torch.arange(size, device=start.device) + 0.5) * length / size - 0.5
    return torch.minimum(torch.maximum(place, start), start + length - 1)


def _blended(x: Tensor, kind: Tensor, factor: Tensor) -> Tensor:
    """Return images whose brightness (0), contrast (1) or saturation (2) is multiplied by a factor: (B,), (B, 1).

    A blend with black, with the mean shade of grey, or with the shades of grey.
    """
    grey = _grey(x)
    other = torch.where(_each(kind == 1), grey.mean((1, 2, 3), keepdim=True), grey)
    other = torch.where(_each(kind == 0), 0.0, other)
    return torch.lerp(other, x, _each(factor)).clamp(0, 1)


def _hue_turned(x: Tensor, turns: Tensor) -> Tensor:
    """Return images (B, 3, H, W) whose hue, in HSV, is turned; grey pixels have none."""
    red, green, blue = x.unbind(1)
    value, index = x.max(1)
    chroma = value - x.amin(1)
    safe = torch.where(chroma > 0, chroma, 1.0)
    sixths = torch.stack([(green - blue) / safe, 2 + (blue - red) / safe, 4 + (red - green) / safe], 1)
    hue = sixths.gather(1, index.unsqueeze(1)).squeeze(1) + 6 * turns[:, None, None]
    offsets = torch.arange(5, 0, -2, device=x.device, dtype=x.dtype).reshape(1, 3, 1, 1)
    k = (offsets + hue.unsqueeze(1)) % 6
    return value.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4 - k).clamp(0, 1)


def _grey(x: Tensor) -> Tensor:
    """Return the brightness of images: (B, 1, H, W), weighted over three channels, else (B, K, H, W) as they are."""
    if x.shape[1] != 3:
        return x
    red, green, blue = (share * channel for share, channel in zip(GREY, x.unbind(1), strict=True))
    return (red + green + blue).unsqueeze(1)


def _each(values: Tensor) -> Tensor:
    return values.reshape(-1, 1, 1, 1)
