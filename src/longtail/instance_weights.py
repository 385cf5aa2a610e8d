"""Instance weights: per-example losses -> one weighted scalar, any loss, any optimiser.

`w(losses)` is the mean of p_i l_i with the weights p constant in the gradient; `w.weigh(losses)` gives the
weights alone, and `w.last` those of the latest call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from longtail.types import Progress

__all__ = ["InstanceWeighting", "Mean"]


class InstanceWeighting(nn.Module, ABC):
    """Per-example losses -> weighted scalar; a subclass says how to weigh.

    loss = (1 / #kept) sum_{i kept} p_i l_i

    p is constant in the gradient. Running state is a buffer of the subclass, moved by `weigh` unless
    `holding`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None
        self.holding = False  # True inside `learner.held()`: the state stays as it is

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
        found = self.weights(losses.detach(), targets=targets, index=index, kept=kept, progress=progress)
        self.last = found if kept is None else torch.where(kept, found, 0.0)
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
            ValueError: losses that are one number already; `kept` of another shape.
        """
        weights = self.weigh(losses, targets=targets, index=index, kept=kept, progress=progress)
        if kept is None:
            return (weights * losses).mean()
        # where, not a product: what is not kept may be infinite
        return torch.where(kept, weights * losses, 0.0).sum() / kept.sum().clamp(min=1)


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


def _checked(losses: Tensor, kept: Tensor | None) -> None:
    if losses.ndim == 0 or not losses.is_floating_point():
        raise ValueError(
            f"losses must be one floating-point number per example, got {losses.dtype} of shape "
            f"{tuple(losses.shape)}; use loss.per_example(...)"
        )
    if kept is not None and (kept.shape != losses.shape or kept.dtype != torch.bool):
        raise ValueError(
            f"kept must be bool and shaped like the losses {tuple(losses.shape)}, got {kept.dtype} of shape "
            f"{tuple(kept.shape)}; use loss.kept(targets)"
        )
