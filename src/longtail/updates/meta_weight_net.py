"""Meta-Weight-Net: a net that makes weights of losses and learns from what they do."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from longtail.facts.types import Progress
from longtail.updates.meta_weights import Gradient, MetaWeights, normalized
from longtail.updates.weight_net import WeightNet


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
