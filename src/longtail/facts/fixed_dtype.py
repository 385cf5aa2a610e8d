"""Buffers that keep their dtype: `.half()` and `.to(dtype)` move them to another device and change nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


class FixedDtype(nn.Module):
    """A module whose buffers hold statistics or running sums, which 16 bits would spoil: their dtype is its own."""

    def buffer_device(self) -> torch.device:
        """Where the buffers are; the default device where there are none."""
        for buffer in self._buffers.values():
            if buffer is not None:
                return buffer.device
        return torch.get_default_device()

    def move_buffers(self, device: torch.device) -> None:
        """Move every buffer, in its dtype."""
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = torch.empty_like(buffer, device=device) if buffer.is_meta else buffer.to(device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        buffers, self._buffers = self._buffers, {}
        try:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        finally:
            self._buffers = buffers
        self.move_buffers(fn(torch.empty(0, device=self.buffer_device())).device)
        return self


def widest_float(device: torch.device) -> torch.dtype:
    """The widest floating-point dtype of a device: float64 wherever it exists."""
    return torch.float32 if device.type == "mps" else torch.float64
