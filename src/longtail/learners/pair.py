"""Learning from two views of the same example, without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Choice
from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Progress, Step, as_outputs

PairCriterion = Callable[[Tensor, Tensor, Progress], Tensor]
"""(projections (B, P) of the first view, of the second, progress) -> losses (B,)."""
PASSES = Choice(("joint", "split"))
"""joint: one pass for both views, so that they share batch statistics; split: one pass for each view."""


@final
class PairLearner(Learner):
    """A network whose head projects; the projections of two views of a batch are compared.

    Args:
        network: inputs -> projections (B, P) as `logits`, and the features under them.
        criterion: compares the two views.
        passes: "joint" or "split", see `PASSES`. A batch of one row, which has no statistics, is always joint.
        no_decay: names of the network's parameters that weight decay leaves alone.
    """

    def __init__(
        self, network: nn.Module, criterion: PairCriterion, *, passes: str = "joint", no_decay: Iterable[str] = ()
    ) -> None:
        super().__init__()
        PASSES.check("passes", passes)
        self.network = network
        self.criterion = criterion
        self.passes = passes
        self.no_decay = frozenset(no_decay)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the mean of the criterion over the rows."""
        first, second = batch["inputs"]
        if self.passes == "joint" or len(first) == 1:
            z1, z2 = as_outputs(self.network(torch.cat([first, second]))).logits.chunk(2)
        else:
            z1, z2 = (as_outputs(self.network(view)).logits for view in (first, second))
        losses = self.criterion(z1, z2, progress)
        return Step(losses.mean(), losses, rows=batch["index"])

    def inference(self) -> Inference:
        """Return the encoder; its logits are projections, and a probe classifies by its features."""
        return Inference(self.network)
