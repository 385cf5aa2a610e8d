"""A stage: what is trained, for how long, by which optimiser. Stage = parts change; Schedule = knobs move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from longtail.facts.types import Learner, Progress, TrainingData, Update
from longtail.updates import Descend

Build = Callable[[Any, Learner | None], tuple[Learner, TrainingData]]
"""(training data, what the stage before left, never mutated) -> (learner, this stage's data)."""


@dataclass(frozen=True)
class Stage:
    """One part of a training.

    Args:
        name: how records and folders call it.
        spec: canonical text of everything that decides what this stage learns, besides data, seed and recipe.
            Stages with one text are one training, shared between methods.
        build: makes the learner and the data of this stage.
        epochs: passes over the data; 0 is legal and still saved (nearest class mean, tau-normalisation).
        optimizer: parameter groups -> optimiser.
        lr: learning rate over the progress of this stage.
        update: how a step is taken.
        lr_per: "epoch", or "step" for a learning rate that moves inside an epoch.
    """

    name: str
    spec: str
    build: Build
    epochs: int
    optimizer: Callable[[Any], torch.optim.Optimizer]
    lr: Callable[[float], Progress]
    update: Update = field(default_factory=Descend)
    lr_per: str = "epoch"
