"""Trainings on clusters of the rows, made side by side as one stage: put together, and changed one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from longtail.catalogue.compose import Change
from longtail.data import TrainingSet
from longtail.data.divided import Divided
from longtail.engine import Built
from longtail.learners.divided import DividedLearner
from longtail.updates import Descend
from longtail.updates.divided import EachExpert


def cluster_rows(data: TrainingSet, assignment: Tensor) -> Iterator[TrainingSet]:
    """Yield the rows of each cluster, those with labels first.

    Args:
        data: all rows.
        assignment: (N,) int64, the cluster of every row, those with labels first.
    """
    labelled, rest = len(data.labeled), data.unlabeled
    for k in range(int(assignment.max()) + 1):
        rows = torch.nonzero(assignment == k).flatten().to(data.labeled.targets.device)
        more = None if rest is None else rest.take(rows[rows >= labelled] - labelled)
        yield TrainingSet(data.labeled.take(rows[rows < labelled]), more)


def side_by_side(network: nn.Module, assignment: Tensor, trainings: Sequence[Built]) -> Built:
    """Return the stage that trains one expert for each cluster, every batch by its own."""
    updates = [one.update for one in trainings]
    alike = all(update is updates[0] or type(update) is type(updates[0]) is Descend for update in updates)
    return Built(
        DividedLearner(network, assignment, [one.learner for one in trainings]),
        Divided(tuple(one.data for one in trainings)),
        updates[0] if alike else EachExpert(updates),
    )


def each_expert(built: Built, data: TrainingSet, change: Change) -> Built:
    """Return the stage with `change` made to every expert, its update and its own rows."""
    learner, divided, update = built
    assert isinstance(learner, DividedLearner)
    assert isinstance(divided, Divided)
    updates = update.updates if isinstance(update, EachExpert) else (update,) * len(divided.parts)
    experts: Any = learner.experts
    parts = zip(experts, divided.parts, updates, cluster_rows(data, learner.assignment), strict=True)
    changed = [change(Built(expert, rows, own), mine) for expert, rows, own, mine in parts]
    return side_by_side(learner.network, learner.assignment, changed)
