"""Weights of examples that lower the loss on a balanced meta batch after the step: L2RW, Meta-Weight-Net, META."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.facts.types import Progress
from longtail.updates.look_ahead import MetaLoss, weight_gradient
from longtail.updates.weight_net import WeightNet

Gradient = Callable[[Tensor], Tensor]
"""Weights (B,) in sum_i weights_i l_i -> the gradient of the meta loss after the step with respect to them, (B,)."""
EVERY = Range(1, integer=True)
STEP = Range(0, open_low=True, open_high=True)
SHARE = Range(0, 1)


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
        losses: Tensor,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        meta_loss: MetaLoss,
        *,
        targets: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return the weighted mean, with its graph: call backward() and optimizer.step() on it as on any loss.

        Args:
            losses: (B,), of the model at its present parameters, with their graph.
            model: what computed them; of a wrapper such as DistributedDataParallel, the model inside.
            optimizer: that of the model.
            meta_loss: gets the model at the parameters after the look-ahead step, as a function of the model's
                arguments, and returns its mean loss on a balanced batch that is not trained on.
            targets: (B,) classes, for weights that depend on them.
            progress: epoch / epochs, for weights that begin late.
        """
        if losses.ndim != 1:
            raise ValueError(f"losses must be one per example, (B,), got {tuple(losses.shape)}; use loss.per_example")
        find = partial(self._gradient, losses, model, optimizer, meta_loss)
        if self.looks_ahead(progress):
            weights = self.improved(losses.detach(), targets, find)
        else:
            weights = self.plain(losses.detach(), targets, progress)
        self.last = weights.detach().to(losses.dtype)
        return (self.last * losses).mean()

    def _gradient(
        self,
        losses: Tensor,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        meta_loss: MetaLoss,
        weights: Tensor,
    ) -> Tensor:
        """Return the gradient of the meta loss at these weights."""
        return weight_gradient(losses, weights.to(losses.dtype), model, optimizer, meta_loss, layer=self.layer)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of steps."""
        return {"steps": self.steps}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore it."""
        self.steps = state["steps"]

    def epoch_record(self) -> dict[str, Any]:
        """Return what the record of the epoch shows of the weights; read once, at its end."""
        return {}


@final
class LearningToReweight(MetaWeights):
    """v_i = max(<grad l_i, grad M>, 0), w_i = B v_i / sum_j v_j: the examples that pull the way of the meta batch.

    The inner product is over the parameters, each weighed by the learning rate of its group. Where every v is 0, so is
    every w, and the step changes what momentum and weight decay change.

    Ren, Zeng, Yang and Urtasun 2018, "Learning to Reweight Examples for Robust Deep Learning", algorithm 1 (ICML).
    """

    def plain(self, losses: Tensor, targets: Tensor | None, progress: Progress | None) -> Tensor:
        """Return ones."""
        return torch.ones_like(losses)

    def improved(self, losses: Tensor, targets: Tensor | None, gradient: Gradient) -> Tensor:
        """Return the normalised positive part of one meta step from weights that are 0."""
        return normalized((-finite(gradient(torch.zeros_like(losses)))).clamp(min=0))


@final
class MetaWeightNet(MetaWeights):
    """w_i = V(l_i), V a net 1 - hidden - 1 that learns in every step to lower the meta loss after it.

    V's parameters get dM/dV = sum_i dM/dw_i dV(l_i)/dV for a look-ahead step on (1/B) sum_i w_i l_i; its step is Adam's
    and goes first, then the weights are computed anew. The losses that enter V are constants.

    Args:
        hidden: width of V.
        lr, weight_decay: of V's Adam.
        normalized: whether the weights of a batch are divided by their mean, so that the learning rate keeps its
            meaning.
        layer, every: as in `MetaWeights`.

    Shu et al. 2019, "Meta-Weight-Net: Learning an Explicit Mapping For Sample Weighting", algorithm 1 (NeurIPS).
    """

    def __init__(
        self,
        *,
        hidden: int = 100,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        normalized: bool = True,
        layer: str | None = None,
        every: int = 1,
    ) -> None:
        super().__init__(layer=layer, every=every)
        self.net = WeightNet(hidden, lr, weight_decay)
        self.normalized = normalized

    def plain(self, losses: Tensor, targets: Tensor | None, progress: Progress | None) -> Tensor:
        """Return the weights of the net as it is."""
        self.net.note(losses)
        return self._weights(losses).detach()

    def improved(self, losses: Tensor, targets: Tensor | None, gradient: Gradient) -> Tensor:
        """Return the weights of the net after its step."""
        with torch.enable_grad():
            weights = self._weights(losses)
        self.net.learn(weights, gradient(weights / len(losses)) / len(losses))
        return self.plain(losses, targets, None)

    def _weights(self, losses: Tensor) -> Tensor:
        weights = self.net(losses)
        return normalized(weights) if self.normalized else weights

    def epoch_record(self) -> dict[str, Any]:
        """Return the curve of the net over the losses of the epoch: what it has learnt."""
        return {"weight_net": self.net.curve()}


@final
class MetaResidual(MetaWeights):
    """w_i = c_y + e_i, c the class weights and e_i = -step dM/dw_i: META, a class weight and a learned residual.

    The look-ahead step descends the sum of c_y l_i, the real step the mean of w_i l_i. Before `start` w_i = 1.

    Args:
        class_weight: c (C,); None for ones.
        step: of the residual, from 0; > 0.
        start: progress from which it acts, in [0, 1]; 0 from the first step on, without `progress`.
        layer, every: as in `MetaWeights`.

    Jamal, Brown, Yang, Wang and Gong 2020, "Rethinking Class-Balanced Methods for Long-Tailed Visual Recognition From a
    Domain Adaptation Perspective", algorithm 1 (CVPR).
    """

    class_weight: Tensor | None

    def __init__(
        self,
        class_weight: Tensor | None = None,
        *,
        step: float = 0.01,
        start: float = 0.0,
        layer: str | None = None,
        every: int = 1,
    ) -> None:
        super().__init__(layer=layer, every=every)
        STEP.check("step", step)
        SHARE.check("start", start)
        self.step, self.start = step, start
        self.register_buffer("class_weight", class_weight)

    def looks_ahead(self, progress: Progress | None) -> bool:
        """Return whether it has begun and this step looks ahead, and count the step if so."""
        return self._begun(progress) and super().looks_ahead(progress)

    def plain(self, losses: Tensor, targets: Tensor | None, progress: Progress | None) -> Tensor:
        """Return the class weights; ones before the start."""
        return self._class_weights(losses, targets) if self._begun(progress) else torch.ones_like(losses)

    def improved(self, losses: Tensor, targets: Tensor | None, gradient: Gradient) -> Tensor:
        """Return class weight and residual, neither clipped nor normalised."""
        weights = self._class_weights(losses, targets)
        return weights - self.step * finite(gradient(weights))

    def _begun(self, progress: Progress | None) -> bool:
        if self.start == 0:
            return True
        if progress is None:
            raise TypeError("MetaResidual with a start needs progress, got None; pass progress=epoch / epochs")
        return bool(progress >= self.start)

    def _class_weights(self, losses: Tensor, targets: Tensor | None) -> Tensor:
        if self.class_weight is None:
            return torch.ones_like(losses)
        if targets is None:
            raise TypeError("MetaResidual with class weights needs targets, got None; pass targets=")
        return self.class_weight.to(losses.dtype)[targets]


def normalized(weights: Tensor) -> Tensor:
    """Return weights of mean 1; zeros as they are."""
    mean = weights.mean()
    return weights / torch.where(mean > 0, mean, 1.0)


def finite(gradient: Tensor) -> Tensor:
    """Return 0 where a gradient is not finite, as where half precision overflows; that step is left out anyway."""
    return torch.where(gradient.isfinite(), gradient, 0.0)
