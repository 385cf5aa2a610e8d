"""What every weighting shares: the call, the mask, weights outside the gradient, and state in float64."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, final

import torch
from torch import Tensor

from longtail.facts import checks
from longtail.facts.fixed_dtype import FixedDtype, widest_float
from longtail.facts.types import Progress


class LossBatch(NamedTuple):
    """The per-example losses of one batch, detached, with everything that weights may depend on."""

    losses: Tensor
    targets: Tensor | None = None
    index: Tensor | None = None  # type: ignore[assignment]  # in place of tuple.index, which a batch has no use for
    kept: Tensor | None = None
    progress: Progress | None = None


class InstanceWeighting(FixedDtype, ABC):
    """Per-example losses -> weighted scalar; a subclass defines `weights`.

    loss = (1 / #kept) sum_{i kept} p_i l_i

    p is constant in the gradient. Running state is a buffer of the subclass, updated by `weights` unless
    `holding`; it is float64 wherever the device has it, `.half()` or not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None
        self.holding = False  # True inside `learner.held()`: the state must not change
        self.repeating = False  # True inside `learner.held(again=True)`: nor do the weights
        self._updating: Tensor | None = None  # the weights of the latest call that changed the state

    @abstractmethod
    def weights(self, batch: LossBatch) -> Tensor:
        """Return weights p shaped like the losses; entries that are not kept do not matter."""

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
        """Return the weights alone, (N,), detached, 0 where not kept; the state changes as in a call."""
        _check(losses, kept)
        if self.repeating and self._updating is not None:
            self.last = self._updating
            return self.last
        weights = self.weights(LossBatch(losses.detach(), targets, index, kept, progress))
        self.last = weights if kept is None else torch.where(kept, weights, 0.0)
        if not self.holding:
            self._updating = self.last
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
        """Return the weighted scalar.

        Args:
            losses: one loss per example, (N,) or (N, d1..dk), with their graph.
            targets: class indices, where weights differ by class.
            index: rows in the training set, where weights are stored per example.
            kept: bool, shaped like the losses; False leaves a loss out of the mean and the state.
            progress: required where a knob is a schedule.

        Returns:
            0-dim; 0, with its graph, where nothing is kept.

        Raises:
            ValueError: losses that are a single number, or empty; `kept` of another shape; inside
                `longtail.checks.strict()`, losses that are NaN or infinite.
            TypeError: a scheduled knob without progress.
        """
        weights = self.weigh(losses, targets=targets, index=index, kept=kept, progress=progress)
        if kept is None:
            return (weights * losses).mean()
        # where, not a product: what is not kept may be infinite
        return torch.where(kept, weights * losses, 0.0).sum() / kept.sum().clamp(min=1)

    def move_buffers(self, device: torch.device) -> None:
        """Move the state, its floating-point part in float64 where the device has it."""
        for name, buffer in self._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                self._buffers[name] = buffer.to(widest_float(device))
        super().move_buffers(device)

    def _move_state(self, device: torch.device) -> None:
        """Move the state to the device of the losses; elsewhere every step would wait for a copy."""
        if self.buffer_device() != device:
            self.move_buffers(device)


@final
class Mean(InstanceWeighting):
    """The plain mean: p_i = 1, the baseline of every other weighting."""

    def weights(self, batch: LossBatch) -> Tensor:
        """Ones."""
        return torch.ones_like(batch.losses)


def _check(losses: Tensor, kept: Tensor | None) -> None:
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
