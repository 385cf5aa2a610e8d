"""Co-teaching: two networks, each trained on the rows of the batch that the other one finds easy."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Knob, Range
from longtail.facts.learner import Inference, Learner
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Outputs, Progress, Record, Step, TrainingData
from longtail.functional.selection import smallest_share
from longtail.learners.supervised import Goal, SupervisedLearner

RATE = Range(0, 1, open_high=True)
SECOND = "second"
"""Where the outputs of the second network are in those of a step."""


class _View(NamedTuple):
    """What one network has computed of a batch, and what it is compared with."""

    outputs: Outputs
    goal: Goal
    losses: Tensor


@final
class CoTeaching(Learner):
    """Two networks on the same batches, each updated on the rows whose losses are smallest under its peer.

    loss = L_1 over S_2 + L_2 over S_1, S_k = the floor((1 - r) B) of B rows with the smallest losses of network k

    L_k is the loss of learner k as if the batch had the selected rows alone: their mean, divided once, however that
    loss divides. Rows are ranked by their own losses (`SupervisedLearner.row_losses`), since the weight of a class or
    of a row does not say whether a label is wrong. Rows that are ignored or have sample weight 0 do not count among the
    B, and one row is selected at least. The first network predicts.

    The networks share no parameters, so that each has the gradient of its own part alone. With r = 0 they are two
    independent trainings, bit for bit but for random numbers that a network draws in its pass, which come in turn.

    Args:
        first, second: learners of one kind, without instance weights and mixing.
        rate: r in [0, 1), the share that is left out; a number or a schedule.
        by_class: whether rows are ranked within each class of the batch, which keeps ceil((1 - r) n_j) of its n_j rows.

    Reference: Han et al., Co-teaching, NeurIPS 2018, algorithm 1; by_class is ours.
    """

    first: SupervisedLearner
    second: SupervisedLearner

    def __init__(self, first: Learner, second: Learner, rate: Knob, *, by_class: bool = False) -> None:
        super().__init__()
        RATE.check("rate", rate)
        self.first = _checked(first)
        self.second = _checked(second)
        self.rate = rate
        self.by_class = by_class

    @property
    def network(self) -> nn.Module:
        """The network that predicts."""
        return self.first.network

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the sum of both losses; losses, outputs and the weights to log are those of the first network.

        The weights (B,) are n / k for the k selected of n rows that count, 0 for the others, as of `SmallLoss`.
        """
        both = (self.first, self.second)
        views = [_viewed(learner, batch, progress) for learner in both]
        easy = [self._easy(learner, view, progress) for learner, view in zip(both, views, strict=True)]
        steps = []
        for learner, view, rows in zip(both, views, reversed(easy), strict=True):
            share = rows.to(view.losses.dtype)
            steps.append(learner.compared(batch, view.outputs, _selected(view.goal, share), progress))
        one, other = steps
        assert one.outputs is not None
        outputs = one.outputs._replace(extra={**one.outputs.extra, SECOND: other.outputs})
        log = {**one.log, "weights": self._weights(easy[1], views[0])}
        return one._replace(loss=one.loss + other.loss, losses=views[0].losses, log=log, outputs=outputs)

    def _easy(self, learner: SupervisedLearner, view: _View, progress: Progress) -> Tensor:
        """Return the rows (B,) bool with the smallest losses of this network."""
        labels = view.goal.targets.long() if self.by_class else None
        share = 1 - at(self.rate, progress, "rate")
        return smallest_share(view.losses.detach(), share, labels=labels, kept=_counted(learner, view))

    def _weights(self, rows: Tensor, view: _View) -> Tensor:
        counted = _counted(self.first, view)
        return rows * (counted.sum() / rows.sum().clamp(min=1)).to(view.losses.dtype)

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Let both compute what depends on the whole training set."""
        self.first.start_epoch(data, progress)
        self.second.start_epoch(data, progress)

    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Let each do what follows from its own outputs."""
        assert step.outputs is not None
        self.first.after_update(batch, step, progress)
        self.second.after_update(batch, step._replace(outputs=step.outputs.extra[SECOND]), progress)

    def epoch_record(self) -> Record:
        """Return what the first one adds to the record of an epoch."""
        return self.first.epoch_record()

    def trainable(self) -> list[dict[str, Any]]:
        """Return the parameter groups of both."""
        return [*self.first.trainable(), *self.second.trainable()]

    def inference(self) -> Inference:
        """Return what predicts of the first one."""
        return self.first.inference()


def _checked(learner: Learner) -> SupervisedLearner:
    """Return the learner.

    Raises:
        ValueError: the rows of its loss cannot be selected.
    """
    if isinstance(learner, SupervisedLearner) and learner.weights is None and learner.mixing is None:
        return learner
    kind = "one with weights or mixing" if isinstance(learner, SupervisedLearner) else type(learner).__name__
    raise ValueError(f"base must train a SupervisedLearner without weights and mixing, got {kind}; choose another base")


def _viewed(learner: SupervisedLearner, batch: Batch, progress: Progress) -> _View:
    outputs = learner.outputs(batch, progress)
    goal = learner.goal(batch, outputs, progress)
    return _View(outputs, goal, learner.row_losses(outputs, goal.targets, progress))


def _selected(goal: Goal, share: Tensor) -> Goal:
    """Return what is taught of the selected rows alone; `share` (B,) is 1 for these and 0 for the others."""
    weight = share if goal.weight is None else share * goal.weight
    if goal.mask is None:
        return goal._replace(weight=weight)
    counted = torch.where(goal.mask > 0, share, 1.0)  # what the targets leave out counts in the mean, as it does alone
    return goal._replace(weight=weight, given=counted if goal.given is None else counted * goal.given)


def _counted(learner: SupervisedLearner, view: _View) -> Tensor:
    """Return the rows (B,) bool that count: not ignored, of a sample weight above 0."""
    kept = learner.loss.kept(view.goal.targets)
    return kept if view.goal.weight is None else kept & (view.goal.weight > 0)
