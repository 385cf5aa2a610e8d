"""A stage: what is trained, for how long, by which optimiser. Stages exchange parts, schedules change knobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from longtail.data import TrainingSet, together
from longtail.data.divided import Divided
from longtail.data.rows import BatchedRows
from longtail.data.sampled import WithSamples
from longtail.data.together import Together
from longtail.data.turned import Turned
from longtail.engine.gradient_scaler import GradientScaler
from longtail.facts.late import Late
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
        steps: of an epoch, in place of a pass over the data; None for such a pass.
        preparatory: whether it only prepares what later stages train, such as by an estimate from the data; corrections
            change those, and leave this one as it is.
        augmentation: of all rows, "usual" or "strong". As `steps` it acts on the data of the whole stage, after all
            corrections (`built`).
        late: what has no effect at its start; where it would never have one, the method is refused or the table notes
            it (`Method.without_effect`).
        reads_cut: whether it is given the labelled rows that a long-tailed cut left out (`TrainingSet.cut`), as
            only the fit of a probe may be.
    """

    name: str
    spec: str
    build: Build
    epochs: int
    optimizer: Callable[[list[dict[str, object]]], torch.optim.Optimizer]
    lr: Callable[[float], Progress]
    lr_per: str = "epoch"
    eager: str = ""
    steps: int | None = None
    preparatory: bool = False
    augmentation: str = "usual"
    late: tuple[Late, ...] = ()
    reads_cut: bool = False

    def start(self, learner: Learner) -> torch.optim.Optimizer:
        """Return the optimiser of this stage, which scales the gradients of float16 networks by itself."""
        optimizer = self.optimizer(learner.trainable())
        GradientScaler.attach(learner, optimizer)
        return optimizer

    def missing(self) -> Iterator[Late]:
        """Yield what has no effect in any of its epochs."""
        rate = Late("the learning rate", self.lr, "warm up from another rate than 0", needed=True)
        parts = (*self.late, rate) if self.lr_per == "epoch" else self.late
        yield from (late for late in parts if late.missing(self.epochs))

    def built(self, data: TrainingSet, previous: Learner | None) -> Built:
        """Build it, with epochs of `steps` and rows in the view `augmentation`.

        Raises:
            ValueError: an augmentation for rows that have views of their own.
        """
        built = self.build(data if self.reads_cut else replace(data, cut=None), previous)
        rows = built.data if self.augmentation == "usual" else _strengthened(built.data, self.augmentation)
        return built._replace(data=rows if self.steps is None else _of_steps(rows, self.steps))


def _of_steps(data: TrainingData, steps: int) -> TrainingData:
    if data.steps() == steps:
        return data
    return replace(data, count=steps) if isinstance(data, Together | Divided) else together(data, steps=steps)


def _strengthened(data: TrainingData, view: str) -> TrainingData:
    """Return the same data in this view, those of a second sampler too; rows without labels and a meta set as before.

    Raises:
        ValueError: they have views of their own.
    """
    if isinstance(data, Together):
        second = None if data.second is None else _strengthened(data.second, view)
        return replace(data, main=_strengthened(data.main, view), second=second)
    if isinstance(data, Turned | WithSamples):
        rows: Any = _strengthened(data.rows, view)
        return replace(data, rows=rows)
    if not isinstance(data, BatchedRows) or data.views:
        raise ValueError(f"augmentation must be usual for rows with views of their own, got {view}; leave it out")
    return data.strengthened(torch.ones(len(data), dtype=torch.bool))
