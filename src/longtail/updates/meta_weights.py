"""Weights of examples that lower the loss on a balanced meta batch after the step; a subclass says how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.facts.types import Progress
from longtail.updates import forward_mode
from longtail.updates.look_ahead import LookAhead, Losses, MetaLoss, per_example

Gradient = Callable[[Tensor | None], Tensor]
"""Weights (B,) in sum_i weights_i l_i, None for zeros -> the gradient of the meta loss after the step by them, (B,)."""
EVERY = Range(1, integer=True)


class MetaWeights(nn.Module, ABC):
    """Per-example losses of a model -> their weighted mean (1/B) sum_i w_i l_i, w from a look-ahead step.

    The weights are constant in the gradient of that mean; `last` has those of the latest call.

    Args:
        layer: name of the one module of the model that the look-ahead step moves, such as "head" or "fc": much less
            work, and exact where the other parameters would not matter; None for all parameters.
        every: k >= 1, look ahead in the first of every k steps. The others use the weights that need no look-ahead:
            those of the net as it is (Meta-Weight-Net), 1 (Learning to Reweight), the class weights (META).

    Raises:
        ValueError: every below 1.
    """

    def __init__(self, *, layer: str | None = None, every: int = 1) -> None:
        super().__init__()
        EVERY.check("every", every)
        if layer is None:
            forward_mode.load()  # here and not in the first step, whose time is measured
        self.layer, self.every = layer, every
        self.steps = 0  # since the beginning; of every = 1 none are counted
        self.last: Tensor | None = None

    @abstractmethod
    def plain(self, losses: Tensor, targets: Tensor | None, progress: Progress | None) -> Tensor:
        """Return the weights (B,) of a step that does not look ahead."""

    @abstractmethod
    def improved(self, losses: Tensor, targets: Tensor | None, gradient: Gradient) -> Tensor:
        """Return the weights (B,) of a step that looks ahead."""

    def looks_ahead(self, progress: Progress | None) -> bool:
        """Return whether this step looks ahead, and count it."""
        if self.every == 1:
            return True
        self.steps += 1
        return self.steps % self.every == 1

    def forward(
        self,
        losses: Losses,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        meta_loss: MetaLoss,
        *,
        targets: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return the weighted mean, with its graph: call backward() and optimizer.step() on it as on any loss.

        Args:
            losses: gets the model and returns its losses (B,) on a batch. In a step that looks ahead by all
                parameters, it is called twice with the same random numbers.
            model: of a wrapper such as DistributedDataParallel, the model inside.
            optimizer: that of the model.
            meta_loss: gets the model at the parameters after the look-ahead step, as a function of the model's
                arguments, and returns its mean loss on a balanced batch that is not trained on.
            targets: (B,) classes, for weights that depend on them.
            progress: epoch / epochs, for weights that begin late.
        """
        if self.looks_ahead(progress):
            ahead = LookAhead(losses, model, optimizer, meta_loss, layer=self.layer)
            each = ahead.losses
            weights = self.improved(each.detach(), targets, lambda w: ahead.gradient(_like(w, each)))
        else:
            each = per_example(losses(model))
            weights = self.plain(each.detach(), targets, progress)
        self.last = weights.detach().to(each.dtype)
        return (self.last * each).mean()

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of steps."""
        return {"steps": self.steps}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore it."""
        self.steps = state["steps"]

    def epoch_record(self) -> dict[str, Any]:
        """Return what the record of the epoch shows of the weights; read once, at its end."""
        return {}


def normalized(weights: Tensor) -> Tensor:
    """Return weights of mean 1; zeros as they are."""
    mean = weights.mean()
    return weights / torch.where(mean > 0, mean, 1.0)


def finite(gradient: Tensor) -> Tensor:
    """Return 0 where a gradient is not finite, as where half precision overflows; that step is left out anyway."""
    return torch.where(gradient.isfinite(), gradient, 0.0)


def _like(weights: Tensor | None, losses: Tensor) -> Tensor | None:
    return None if weights is None else weights.detach().to(losses.dtype)
