"""A method that records the margins of its training rows, and is otherwise the same, to the byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from longtail.catalogue.method import Method
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Outputs, Progress, TrainingData
from longtail.labels.margins import Margins
from longtail.learners import SupervisedLearner
from longtail.targets import Given

PLACE = "targets.margins."
"""Where the records stand in the state of a learner."""


class Recorded(nn.Module):
    """Given labels, with a record of each row's margin in the pass that every step makes."""

    def __init__(self, given: Given, rows: int) -> None:
        super().__init__()
        self.given = given
        self.margins = Margins(rows)

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Return the labels of the batch."""
        targets: tuple[Tensor, Tensor | None] = self.given(batch, outputs, progress)
        return targets

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Record the margins of the step's first pass."""
        self.margins.update(batch["index"], outputs.logits.detach(), batch["targets"])

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Compute nothing."""


def recorded(method: Method) -> Method:
    """Return the method with margins recorded in every stage that can: one label a row, no mixed inputs."""

    def stages(recipe: Recipe) -> list[Stage]:
        return [_recorded(stage) if stage.epochs else stage for stage in method.stages(recipe)]

    return replace(method, stages=stages)


def _recorded(stage: Stage) -> Stage:
    def build(data: TrainingSet, previous: Learner | None) -> Built:
        built = stage.build(data, previous)
        learner = built.learner
        if not isinstance(learner, SupervisedLearner) or type(learner.targets) is not Given or learner.mixing:
            return built
        return built._replace(learner=learner.varied(targets=Recorded(learner.targets, len(data.labeled))))

    return replace(stage, build=build, spec=f"{stage.spec} with margins")


def margins_in(state: Mapping[str, Any]) -> Margins | None:
    """Return the records in the state of a learner; None where there are none."""
    own = {name.removeprefix(PLACE): value for name, value in state.items() if name.startswith(PLACE)}
    if not own:
        return None
    margins = Margins(len(own["total"]))
    margins.load_state_dict({name: torch.as_tensor(value).cpu() for name, value in own.items()})
    return margins
