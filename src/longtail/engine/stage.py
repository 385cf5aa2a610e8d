"""A stage: what is trained, for how long, by which optimiser. Stage = parts change; Schedule = knobs move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from longtail.data import TrainingSet
from longtail.facts.learner import Learner
from longtail.facts.types import Progress, TrainingData, Update
from longtail.updates import Descend


class Built(NamedTuple):
    """What a stage trains: the learner, the rows it visits, and how a step is taken."""

    learner: Learner
    data: TrainingData
    update: Update = Descend()


Build = Callable[[TrainingSet, Learner | None], Built]
"""(the rows, what the stage before left: trained, also on resume, and never to be mutated) -> what is trained now."""


@dataclass(frozen=True)
class Stage:
    """One part of a training.

    Args:
        name: how records and folders call it.
        spec: canonical text of everything that decides what this stage learns, besides data, seed and recipe.
            Stages with one text are one training, shared between methods. `Method.named` puts the method's own text
            where `catalogue.method.SELF` stands.
        build: makes the learner, the data and the update of this stage; random numbers follow from the run's seed.
        epochs: passes over the data; 0 is legal and still saved (nearest class mean, tau-normalisation).
        optimizer: parameter groups -> optimiser.
        lr: learning rate over the progress of this stage.
        lr_per: "epoch", or "step" for a learning rate that moves inside an epoch.
    """

    name: str
    spec: str
    build: Build
    epochs: int
    optimizer: Callable[[list[dict[str, object]]], torch.optim.Optimizer]
    lr: Callable[[float], Progress]
    lr_per: str = "epoch"
