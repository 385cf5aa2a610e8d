"""Inputs of mean 0 and standard deviation 1, by statistics that are saved with the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self, final

import torch
from torch import Tensor, nn

CHUNK = 4096
"""Rows that are widened to float64 at a time."""


@final
class Standardize(nn.Module):
    """(x - mean) / std: per feature of (N, D), per channel of (N, K, H, W); (N, H, W) is one channel.

    uint8 counts as x / 255. The statistics are buffers: mean 0 and std 1 until `fit` sees the training rows.

    Args:
        size: D features, or K channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @torch.no_grad()
    def fit(self, inputs: Tensor | Callable[[int], Iterable[Tensor]]) -> Self:
        """Compute mean and population deviation of training rows, in float64; a constant gets std 1.

        Args:
            inputs: the rows, or how to read them: number of rows -> the inputs in parts of so many, called twice.
        """
        parts = inputs.split if isinstance(inputs, Tensor) else inputs
        count, mean = 0, torch.zeros((), dtype=torch.float64)
        for part in parts(CHUNK):
            count += part.numel() // len(self.mean)
            mean = mean + self._rows(part).sum(0)
        if not count:
            raise ValueError("inputs must hold at least one row, got none; pass the training rows")
        mean = mean / count
        square = sum(((self._rows(part) - mean).square().sum(0) for part in parts(CHUNK)), torch.zeros(()))
        std = (square / count).sqrt()
        # below the rounding of its mean a deviation is none
        std = torch.where(std <= 1e-10 * mean.abs(), 1.0, std)
        self.mean.copy_(mean)
        self.std.copy_(std)
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Standardised inputs in the dtype of the statistics: (N, D), or (N, K, H, W)."""
        x = self._with_channels(inputs).to(self.mean.dtype)
        if inputs.dtype == torch.uint8:
            x = x / 255
        if x.ndim == 2:
            return (x - self.mean) / self.std
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def _with_channels(self, inputs: Tensor) -> Tensor:
        if inputs.ndim == 3:
            inputs = inputs.unsqueeze(1)
        if inputs.ndim not in (2, 4) or inputs.shape[1] != len(self.mean):
            raise ValueError(
                f"inputs must have shape (N, {len(self.mean)}) or (N, {len(self.mean)}, H, W), got "
                f"{tuple(inputs.shape)}; build the network for this input_shape"
            )
        return inputs

    def _rows(self, part: Tensor) -> Tensor:
        wide = self._with_channels(part).double()
        if part.dtype == torch.uint8:
            wide = wide / 255
        return wide.movedim(1, -1).reshape(-1, len(self.mean))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"size={len(self.mean)}"
