"""The host FixMatch: strong views learn what the weak view is taken for."""

from __future__ import annotations

from torch import nn

from longtail.facts.knobs import Knob
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Progress
from longtail.learners.semi import HostStep, SemiSupervisedLearner, Views, detached, joint_pass, stacked


class FixMatch(nn.Module):
    """loss = loss(labelled) + consistency x mean over all rows without labels of w_i l(strong_i, t_i).

    A weight w_i of 0 divides by all rows, as in FixMatch. One pass for labelled rows, the weak view and the strong one,
    so that batch norms have the statistics of all three.

    Args:
        consistency: weight of the second part, scheduled or not.
    """

    def __init__(self, consistency: Knob = 1.0) -> None:
        super().__init__()
        self.consistency = consistency

    def forward(self, learner: SemiSupervisedLearner, batch: Batch, progress: Progress) -> HostStep:
        """Return the loss of a batch whose rows without labels have a weak and a strong view."""
        unlabeled = batch["unlabeled"]
        labelled, first, strong = joint_pass(learner.network, [batch["inputs"], *unlabeled["inputs"]])
        weak = stacked([first])
        loss, losses = learner.labelled(labelled, batch["targets"], batch.get("sample_weight"), progress)
        _, targets, weight, log = learner.taught(unlabeled, weak, progress)
        consistency = learner.loss.per_example(
            strong.logits, targets, sample_weight=weight, features=strong.features, progress=progress
        ).mean()
        total = loss + at(self.consistency, progress, "consistency") * consistency
        log = {"consistency": consistency.detach(), **log}
        return HostStep(total, losses, weak, log, Views(labelled, detached(first), (strong,)))
