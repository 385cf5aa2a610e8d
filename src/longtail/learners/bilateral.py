"""Two branches, each fed by a sampler of its own, whose features are mixed under one classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from longtail.facts.knobs import Knob
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Outputs, Progress
from longtail.learners.mixing import Pair


@dataclass(frozen=True)
class Bilateral:
    """A `Mixing` of every row of the batch with that of `batch["second"]`, at the features of a body of two branches.

    h = 2 [a f_0(x), (1 - a) f_1(x')], and the loss a L(y) + (1 - a) L(y'); x' and y' are of the second batch. Each
    batch passes the shared layers by itself: batch norms normalise it by its own statistics. In evaluation the body
    returns [f_0(x), f_1(x)], the same with x' = x and a = 1/2.

    Args:
        alpha: a in [0, 1], the share of the first branch.
    """

    alpha: Knob

    def outputs(self, network: Any, batch: Batch, progress: Progress) -> Outputs:
        """Return the logits of the mixed features (B, 2 D), and these."""
        alpha = at(self.alpha, progress, "alpha")
        first = network.features(batch["inputs"], branch=0)
        second = network.features(batch["second"]["inputs"], branch=1)
        features = 2 * torch.cat([alpha * first, (1 - alpha) * second], dim=1)
        return Outputs(network.head(features), features)

    def pair(self, batch: Batch, targets: Tensor, weight: Tensor | None, progress: Progress) -> Pair:
        """Return the labels of both batches, of which the first has the coefficient a."""
        second = batch["second"]
        own = at(self.alpha, progress, "alpha") * torch.ones(len(targets), device=targets.device)
        weights = (weight, second.get("sample_weight"))
        return Pair(own, (targets, second["targets"]), weights, (batch["index"], second["index"]))
