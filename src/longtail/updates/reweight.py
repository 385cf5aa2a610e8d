"""The plain step on losses whose weights come from a look-ahead step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, final

import torch
from torch import nn
from torch.nn import functional as F

from longtail.facts.types import Batch, Progress, Step, as_outputs
from longtail.functional.mixtures import widen
from longtail.updates.look_ahead import Ahead
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

    restores_generators = True
    """A step that draws random numbers cannot be captured as a CUDA graph (`updates.randomness`)."""

    def __init__(self, weighting: MetaWeights) -> None:
        super().__init__()
        self.weighting = weighting

    def forward(self, learner: Any, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Make one optimiser step and return what the learner computed for it, with the weights."""
        optimizer.zero_grad(set_to_none=True)
        steps: list[Step] = []
        meta = batch["meta"]

        def losses(model: Ahead) -> Any:
            with learner.held(again=True) if steps else nullcontext():
                steps.append(model(lambda one: one.training_step(batch, progress)))
            return steps[-1].losses

        def meta_loss(ahead: Ahead) -> torch.Tensor:
            logits = as_outputs(ahead(lambda one: one.network(meta["inputs"]))).logits
            return F.cross_entropy(learner.loss.scores(widen(logits), progress), meta["targets"])

        targets = batch["targets"]
        loss = self.weighting(losses, _Called(learner), optimizer, meta_loss, targets=targets, progress=progress)
        loss.backward()
        optimizer.step()
        weights: Any = self.weighting.last
        return steps[0]._replace(loss=loss, log={**steps[0].log, "weights": weights})

    def epoch_record(self) -> dict[str, Any]:
        """Return what the weighting shows in the record of an epoch."""
        return self.weighting.epoch_record()


@final
class _Called(nn.Module):
    """A learner, called with what to do with it: `functional_call` replaces parameters of what it calls."""

    def __init__(self, learner: nn.Module) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, what: Callable[[Any], Any]) -> Any:
        """Return what(learner)."""
        return what(self.learner)
