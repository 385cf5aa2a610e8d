"""The share of wrong labels as a schedule, for each stage of its own length."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from longtail.catalogue.method import SELF, MakeStages, Method
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Knob, Length, Range
from longtail.facts.late import Late
from longtail.facts.learner import Learner
from longtail.facts.schedules import Schedule
from longtail.functional import forget_rate

Rate = Annotated[float, Range(0, 1, open_high=True)]
Ramp = Annotated[float, Length(0, 1)]
Make = Callable[[Stage, TrainingSet, Learner | None], Built]
"""A stage of the base, the rows and the learner of the stage before -> what is trained instead."""


@dataclass(frozen=True, repr=False)
class ForgetRate(Schedule):
    """`functional.forget_rate` over the progress of a stage of so many epochs."""

    rate: float
    ramp: int
    exponent: float
    epochs: int

    def __call__(self, progress: float | Tensor) -> Any:
        """The rate at this progress."""
        done = progress * self.epochs + 1e-6  # e / E times E may be below e
        epoch = torch.floor(done) if isinstance(done, Tensor) else math.floor(done)
        return forget_rate(epoch, self.rate, self.ramp, exponent=self.exponent)

    def values(self) -> tuple[float, ...]:
        """Its extremes."""
        return (0.0, self.rate**self.exponent, self.rate)


def forgotten(stage: Stage, rate: float, ramp: float, exponent: float = 1.0) -> Knob:
    """Return the rate over a stage; `ramp` is the share of its epochs in which it rises, one epoch at least, 0 none."""
    epochs = max(stage.epochs, 1)
    return ForgetRate(rate, max(1, round(ramp * epochs)), exponent, epochs) if ramp > 0 else rate


def late(rate: float, ramp: float) -> tuple[Late, ...]:
    """Return what says that nothing is forgotten in the first epoch of a ramp."""
    if rate == 0 or ramp == 0:
        return ()
    return (Late(f"rate={rate!r}", lambda progress: float(progress > 0), "write a ramp of 0"),)


def by_stage(base: Method, make: Make) -> MakeStages:
    """Return the stages of `base`, each but preparatory ones built by `make`."""

    def of(stage: Stage) -> Stage:
        return replace(
            stage, spec=f"{stage.spec} x {SELF}", build=lambda data, previous: make(stage, data, previous)
        )  # fmt: skip

    def stages(recipe: Recipe) -> Sequence[Stage]:
        return [stage if stage.preparatory else of(stage) for stage in base.stages(recipe)]

    return stages
