"""What every weighting shares: the call, the mask, the gradient that does not see the weights, and state that keeps its
precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self, final

import torch
from torch import Tensor, nn

from longtail.facts import checks
from longtail.facts.types import Progress


class InstanceWeighting(nn.Module, ABC):
    """Per-example losses -> weighted scalar; a subclass says how to weigh.

    loss = (1 / #kept) sum_{i kept} p_i l_i

    p is constant in the gradient. Running state is a buffer of the subclass, moved by `weigh` unless
    `holding`; it follows the device, but no `.half()`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None
        self.holding = False  # True inside `learner.held()`: the state stays as it is
        self.repeating = False  # True inside `learner.held(again=True)`: so do the weights
        self._found: Tensor | None = None  # those of the call that moved the state

    @abstractmethod
    def weights(
        self,
        losses: Tensor,
        *,
        targets: Tensor | None,
        index: Tensor | None,
        kept: Tensor | None,
        progress: Progress | None,
    ) -> Tensor:
        """Weights p shaped like the losses, which come detached; entries that are not kept do not matter."""

    @final
    @torch.no_grad()
    def weigh(
        self,
        losses: Tensor,
        *,
        targets: Tensor | None = None,
        index: Tensor | None = None,
        kept: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """The weights alone, (N,), detached, 0 where not kept; the state moves as in a call."""
        _checked(losses, kept)
        if self.repeating and self._found is not None:
            self.last = self._found
            return self.last
        found = self.weights(losses.detach(), targets=targets, index=index, kept=kept, progress=progress)
        self.last = found if kept is None else torch.where(kept, found, 0.0)
        if not self.holding:
            self._found = self.last
        return self.last

    def forward(
        self,
        losses: Tensor,
        *,
        targets: Tensor | None = None,
        index: Tensor | None = None,
        kept: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """The weighted scalar.

        Args:
            losses: one loss per example, (N,) or (N, d1..dk), with their graph.
            targets: what the examples were taught, where weights differ by class.
            index: rows in the training set, where weights are remembered per example.
            kept: bool, shaped like the losses; False stands outside the mean and the state.
            progress: where a knob is a schedule.

        Returns:
            0-dim; 0, with its graph, where nothing is kept.

        Raises:
            ValueError: losses that are one number already, or none; `kept` of another shape; inside
                `longtail.checks.strict()`, losses that are NaN or infinite.
            TypeError: a scheduled knob without progress.
        """
        weights = self.weigh(losses, targets=targets, index=index, kept=kept, progress=progress)
        if kept is None:
            return (weights * losses).mean()
        # where, not a product: what is not kept may be infinite
        return torch.where(kept, weights * losses, 0.0).sum() / kept.sum().clamp(min=1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        held, self._buffers = self._buffers, {}  # sums of exponentials need their digits: the dtype is ours to choose
        try:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        finally:
            self._buffers = held
        for name, buffer in held.items():
            if buffer is not None:
                held[name] = _placed(buffer, fn(torch.empty(0, device=buffer.device)).device)
        return self

    def _follow(self, device: torch.device) -> None:
        """State on another device than the losses would make the device wait in every step."""
        for name, buffer in self._buffers.items():
            if buffer is not None and buffer.device != device:
                self._buffers[name] = _placed(buffer, device)


@final
class Mean(InstanceWeighting):
    """The plain mean: p_i = 1. What every other weighting is compared with."""

    def weights(
        self,
        losses: Tensor,
        *,
        targets: Tensor | None,
        index: Tensor | None,
        kept: Tensor | None,
        progress: Progress | None,
    ) -> Tensor:
        """Ones."""
        return torch.ones_like(losses)


def wide(device: torch.device) -> torch.dtype:
    """The widest floating-point type of a device: float64 wherever it exists."""
    return torch.float32 if device.type == "mps" else torch.float64


def _placed(buffer: Tensor, device: torch.device) -> Tensor:
    return buffer.to(wide(device)).to(device) if buffer.is_floating_point() else buffer.to(device)


def _checked(losses: Tensor, kept: Tensor | None) -> None:
    if not isinstance(losses, Tensor):
        raise TypeError(f"losses must be a tensor, got {type(losses).__name__}; use loss.per_example(...)")
    if losses.ndim == 0 or not losses.is_floating_point():
        raise ValueError(
            f"losses must be one floating-point number per example, got {losses.dtype} of shape "
            f"{tuple(losses.shape)}; use loss.per_example(...)"
        )
    if losses.numel() == 0:
        raise ValueError(
            f"losses must hold at least one example, got shape {tuple(losses.shape)}; leave empty batches out"
        )
    if kept is not None and not isinstance(kept, Tensor):
        raise TypeError(f"kept must be a tensor of bool, got {type(kept).__name__}; use loss.kept(targets)")
    if kept is not None and (kept.shape != losses.shape or kept.dtype != torch.bool):
        raise ValueError(
            f"kept must be bool and shaped like the losses {tuple(losses.shape)}, got {kept.dtype} of shape "
            f"{tuple(kept.shape)}; use loss.kept(targets)"
        )
    if not torch.compiler.is_compiling() and checks.is_strict():
        checks.finite(losses if kept is None else torch.where(kept, losses, 0.0), "losses")
