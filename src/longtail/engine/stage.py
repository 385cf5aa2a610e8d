"""A stage: what is trained, for how long, by which optimiser. Stages exchange parts, schedules change knobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from longtail.data import TrainingSet, together
from longtail.data.rows import BatchedRows
from longtail.data.together import Together
from longtail.engine.gradient_scaler import GradientScaler
from longtail.facts.learner import Learner
from longtail.facts.types import Progress, TrainingData, Update
from longtail.updates import Descend


class Built(NamedTuple):
    """What a stage trains: the learner, its rows, and the update that makes a step."""

    learner: Learner
    data: TrainingData
    update: Update = Descend()


Build = Callable[[TrainingSet, Learner | None], Built]
"""(the rows, the trained learner of the stage before, not to be mutated) -> what this stage trains."""


@dataclass(frozen=True)
class Stage:
    """One part of a training.

    Args:
        name: in records and folders.
        spec: canonical text of everything that decides what this stage learns, besides data, seed and recipe.
            Stages with the same text are trained once and shared between methods. `Method.named` replaces
            `catalogue.method.SELF` in it by the method's own text.
        build: makes the learner, the data and the update of this stage; random numbers follow from the run's seed.
        epochs: passes over the data; 0 is legal, and the stage is saved (nearest class mean, tau-normalisation).
        optimizer: parameter groups -> optimiser.
        lr: learning rate over the progress of this stage.
        lr_per: "epoch", or "step" for a learning rate that changes inside an epoch.
        eager: why a step cannot be captured as one CUDA graph and always runs operation by operation; empty where it
            can: no operation waits for the device or depends on values on it, and progress and the learning rate may
            be 0-dim tensors.
    """

    name: str
    spec: str
    build: Build
    epochs: int
    optimizer: Callable[[list[dict[str, object]]], torch.optim.Optimizer]
    lr: Callable[[float], Progress]
    lr_per: str = "epoch"
    eager: str = ""

    def start(self, learner: Learner) -> torch.optim.Optimizer:
        """Return the optimiser of this stage, which scales the gradients of float16 networks by itself."""
        optimizer = self.optimizer(learner.trainable())
        GradientScaler.attach(learner, optimizer)
        return optimizer

    def with_steps(self, steps: int | None) -> Stage:
        """Return the same stage with epochs of so many steps; None leaves them as they are."""
        if steps is None:
            return self

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            built = self.build(data, previous)
            return built._replace(data=_of_steps(built.data, steps))

        return replace(self, build=build)

    def augmented(self, augmentation: str) -> Stage:
        """Return the same stage with all rows in this view, "strong"; "usual" leaves them as they are.

        Raises:
            ValueError: when the stage is built: its rows have views of their own.
        """
        if augmentation == "usual":
            return self

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            built = self.build(data, previous)
            rows: Any = built.data
            main: Any = rows.main if isinstance(rows, Together) else rows
            if getattr(main, "views", ()) == (augmentation,) and main.view_of is not None:
                return built  # of a base that is augmented already
            if not isinstance(rows, BatchedRows) or rows.views:
                raise ValueError(
                    f"augmentation must be usual for rows with views of their own, got {augmentation}; leave it out"
                )
            return built._replace(data=rows.strengthened(torch.ones(len(rows), dtype=torch.bool)))

        return replace(self, build=build)


def _of_steps(data: TrainingData, steps: int) -> TrainingData:
    if data.steps() == steps:
        return data
    return replace(data, count=steps) if isinstance(data, Together) else together(data, steps=steps)
