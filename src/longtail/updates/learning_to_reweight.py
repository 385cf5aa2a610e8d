"""Learning to Reweight: the weights that one meta step from 0 gives."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from longtail.facts.types import Progress
from longtail.updates.meta_weights import Gradient, MetaWeights, finite, normalized


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
        return normalized((-finite(gradient(None))).clamp(min=0))
