"""Accuracies of the classes from trainings on one half of the rows, measured on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from longtail import losses
from longtail.catalogue.encoders import without_single_rows
from longtail.catalogue.experts import side_by_side
from longtail.catalogue.features import predicted
from longtail.catalogue.one_stage import one_stage
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners.divided import DividedLearner
from longtail.sampling.halves import stratified_halves


def halves_stage(recipe: Recipe, splits: int) -> Stage:
    """Return the stage that trains by plain cross-entropy on the first half of every class, or on each half by itself.

    The halves are those of `sampling.halves`. It is preparatory: corrections leave it as it is.

    Args:
        recipe: of the training; its epochs are passes over a half.
        splits: 1 for the first half alone, 2 for one training on each.
    """
    (plain,) = one_stage(lambda counts: losses.CrossEntropyLoss())(recipe)

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        both = [half.to(data.labeled.targets.device) for half in stratified_halves(data.labeled.targets)]
        trainings = []
        for half in both[:splits]:
            built = plain.build(TrainingSet(data.labeled.take(half)), None)
            size = without_single_rows(recipe.batch_size, len(half))
            trainings.append(built._replace(data=data.labeled.take(half).drawn(size)))
        if splits == 1:
            return trainings[0]
        assignment = torch.zeros(len(data.labeled), dtype=torch.int64).index_fill(0, both[1].cpu(), 1)
        return side_by_side(nn.Identity(), assignment, trainings)

    text = f"ce on {'the first half' if splits == 1 else 'each half'} of every class"
    return replace(plain, name="halves", spec=f"{text}, {recipe.epochs} epochs", build=build, preparatory=True)


def held_out_accuracies(learner: Learner | None, rows: Part) -> Tensor:
    """Return the accuracy of each class (C,), float64, on the rows that the trainings of `halves_stage` did not see.

    A row of weight k counts as k rows. A class without such rows (one row, and a training on the first half alone) has
    accuracy 0, as one that no training has seen would.

    Args:
        learner: what that stage has trained; it is not changed.
        rows: all rows.
    """
    assert learner is not None
    trained: Sequence[Learner] = list(learner.experts) if isinstance(learner, DividedLearner) else [learner]
    halves = stratified_halves(rows.targets)
    right, all_rows = torch.zeros(2, len(rows.classes), dtype=torch.float64)
    for one, other in zip(trained, halves[::-1], strict=False):
        if len(other):
            held_out = rows.take(other.to(rows.targets.device))
            labels, _ = predicted(one, held_out)
            targets, weight = held_out.targets.cpu(), held_out.sample_weight
            weight = torch.ones(len(other)).double() if weight is None else weight.cpu().double()
            right.index_add_(0, targets, weight * (labels == targets))
            all_rows.index_add_(0, targets, weight)
    return torch.where(all_rows > 0, right / all_rows.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
