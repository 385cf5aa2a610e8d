"""A loss that stops being finite ends the training in one line that names stage, epoch and class."""

from __future__ import annotations

import re

import pytest
import torch

from engine_toys import gaussians, stage
from longtail.data import Examples, TrainingSet
from longtail.engine import Built, fit
from longtail.engine.epoch_monitor import EpochMonitor, FinitenessError
from longtail.facts.types import Batch, Step


def poisoned(rows: list[int], value: float = torch.nan) -> Examples:
    data = gaussians()
    data.inputs[rows] = value
    return data


def test_names_stage_epoch_and_the_class_whose_inputs_broke_it() -> None:
    # a linear net without batch norm: only the poisoned rows are hit in the first broken step
    from torch import nn

    from engine_toys import RECIPE
    from longtail.learners import SupervisedLearner
    from longtail.losses import CrossEntropyLoss

    def build(data: TrainingSet, left: object) -> Built:
        return Built(SupervisedLearner(nn.Linear(3, 3), CrossEntropyLoss()), data.labeled.drawn(RECIPE.batch_size))

    training = fit((stage("fine-tuning", build),), poisoned([37]))  # the last of class "2"
    expected = "in stage fine-tuning, epoch 1, first in class 2; lower the learning rate"
    with pytest.raises(FinitenessError, match=expected) as found:
        list(training)
    assert "\n" not in str(found.value)


def test_names_the_epoch_in_which_it_happened() -> None:
    def exploding(progress: float) -> float:
        return 1e30 if progress >= 0.5 else 1e-3

    from engine_toys import one
    from longtail.engine.stage import Stage

    broken = Stage("train", "x", one, 4, lambda g: torch.optim.SGD(g, lr=1.0), exploding)
    training = fit((broken,), gaussians())
    assert len([next(training), next(training)]) == 2
    with pytest.raises(FinitenessError, match=r"in stage train, epoch [34], ") as found:
        list(training)
    assert re.search("got NaN or infinity", str(found.value))


def step(losses: list[float]) -> Step:
    values = torch.tensor(losses)
    return Step(values.mean(), values)


def batch(targets: list[int]) -> Batch:
    index = torch.arange(len(targets))
    return Batch(inputs=torch.zeros(len(targets), 1), targets=torch.tensor(targets), index=index)


class TestWatch:
    def test_a_finite_epoch_passes_and_its_mean_is_told(self) -> None:
        watch = EpochMonitor(3, "cpu")
        watch.note(step([1.0, 3.0]), batch([0, 1]))
        watch.note(step([4.0]), batch([2]))
        watch.check("train", 0, ("a", "b", "c"))
        assert watch.mean() == 3.0

    def test_only_the_first_broken_step_tells_the_class(self) -> None:
        watch = EpochMonitor(3, "cpu")
        watch.note(step([1.0, torch.inf]), batch([0, 1]))
        watch.note(step([torch.nan, torch.nan]), batch([0, 2]))
        with pytest.raises(FinitenessError, match="epoch 6, first in class b;"):
            watch.check("train", 5, ("a", "b", "c"))

    def test_losses_that_do_not_decompose_name_no_class(self) -> None:
        watch = EpochMonitor(3, "cpu")
        watch.note(Step(torch.tensor(torch.nan)), batch([0, 1]))
        with pytest.raises(FinitenessError, match="in the batch's mean"):
            watch.check("train", 0, ("a", "b", "c"))

    def test_an_example_that_stands_outside_the_mean_still_counts(self) -> None:
        watch = EpochMonitor(3, "cpu")
        watch.note(Step(torch.tensor(1.0), torch.tensor([1.0, torch.nan])), batch([0, 2]))
        with pytest.raises(FinitenessError, match="first in class c"):
            watch.check("train", 0, ("a", "b", "c"))
