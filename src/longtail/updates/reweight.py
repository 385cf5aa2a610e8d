"""The plain step on losses whose weights come from a look-ahead step."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import nn
from torch.nn import functional as F

from longtail.facts.types import Batch, Progress, Step, as_outputs
from longtail.functional.mixtures import widen
from longtail.updates.meta_weights import MetaWeights


@final
class Reweight(nn.Module):
    """Descend (1/B) sum_i w_i l_i, l the losses of a supervised learner and w from `weighting`.

    The meta loss is the cross-entropy of the learner's scores on `batch["meta"]`, whatever its own loss is: class
    weights, margins and offsets of the base are made for its unbalanced rows. One forward pass on the batch serves the
    look-ahead and the real step; batch norms record it, and nothing of the pass on the meta batch.

    Args:
        weighting: computes the weights; its state is this module's.
    """

    def __init__(self, weighting: MetaWeights) -> None:
        super().__init__()
        self.weighting = weighting

    def forward(self, learner: Any, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Make one optimiser step and return what the learner computed for it, with the weights."""
        optimizer.zero_grad(set_to_none=True)
        step: Step = learner.training_step(batch, progress)
        meta = batch["meta"]

        def meta_loss(ahead: Any) -> torch.Tensor:
            logits = as_outputs(ahead(meta["inputs"])).logits
            return F.cross_entropy(learner.loss.scores(widen(logits), progress), meta["targets"])

        loss = self.weighting(
            step.losses, learner.network, optimizer, meta_loss, targets=batch["targets"], progress=progress
        )
        loss.backward()
        optimizer.step()
        weights: Any = self.weighting.last
        return step._replace(loss=loss, log={**step.log, "weights": weights})

    def epoch_record(self) -> dict[str, Any]:
        """Return what the weighting shows in the record of an epoch."""
        return self.weighting.epoch_record()
