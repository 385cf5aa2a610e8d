"""A supervised training before DARP's, which estimates the class totals of the rows without labels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from longtail import losses
from longtail.catalogue.one_stage import MakeStages, stage_under
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner
from longtail.learners.confusion_totals import ConfusionTotals
from longtail.sampling import meta_rows

log = logging.getLogger(__name__)


def after_estimate(stages: MakeStages, withheld: int, estimation: float) -> MakeStages:
    """Return the stages of DARP, trained with the class totals that a stage before them estimates.

    They are estimated once, also for a base that trains in generations: the rows without labels are the same in all.
    Corrections leave the stage before as it is, and all methods with these arguments share it.

    Args:
        stages: whose `targets` are `targets.DARP`, with the totals of the labels, which remain where no estimate is
            accepted.
        withheld: labelled rows of each class that it does not train on, at most half of the class.
        estimation: the share of the recipe's epochs that it lasts, one at least.
    """

    def first(recipe: Recipe) -> Stage:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows, rest = data.labeled, data.unlabeled
            if (why := single_row(rows)) is not None:
                raise ValueError(why)
            if rest is None:
                raise ValueError("darp needs rows without labels, got none; pass some as unlabeled (--unlabeled)")
            others, own = meta_rows(rows.targets, withheld, sample_weight=rows.sample_weight)
            trained = rows.take(own.to(rows.targets.device))
            network = recipe.network(trained)
            targets = ConfusionTotals(
                network, rows.take(others.to(rows.targets.device)), rest, data.given_counts.double()
            )
            learner = SupervisedLearner(network, losses.CrossEntropyLoss(), targets=targets)
            return Built(learner, trained.drawn(recipe.batch_size))

        shorter = replace(recipe, epochs=max(1, round(estimation * recipe.epochs)))
        stage = stage_under(shorter, "totals", f"class totals(withheld={withheld!r})", build)
        return replace(stage, preparatory=True)

    def informed(stage: Stage) -> Stage:
        def build(data: TrainingSet, previous: Any) -> Built:
            built: Any = stage.build(data, previous)
            _warn_of_labels(previous.targets)
            built.learner.targets.totals.copy_(previous.targets.totals)
            return built  # type: ignore[no-any-return]

        return replace(stage, build=build)

    def all_stages(recipe: Recipe) -> Sequence[Stage]:
        return [first(recipe), *map(informed, stages(recipe))]

    return all_stages


def single_row(rows: Part) -> str | None:
    """Return why no rows can be withheld, with the way out: a class with one row (of weight > 0); None where they can.

    Classes without rows do not count.
    """
    counted = rows.targets if rows.sample_weight is None else rows.targets[rows.sample_weight > 0]
    single = torch.nonzero(torch.bincount(counted.cpu(), minlength=len(rows.classes)) == 1).flatten().tolist()
    if not single:
        return None
    return (
        'totals must be "labels", "em" or numbers for data with a class of one labelled row, '
        f'"{rows.classes[single[0]]}", since "confusion" withholds one and trains on another; pass one of these, or '
        "label another row of the class"
    )


def _warn_of_labels(targets: Any) -> None:
    """Log a warning where these are targets that have accepted no estimate."""
    if isinstance(targets, ConfusionTotals) and not bool(targets.accepted):
        log.warning(
            "no estimate of the class totals was accepted, each had a total below 0 or a condition number of 100 or "
            'more: darp takes those of the labels; pass totals="em" or numbers, or label more rows'
        )
