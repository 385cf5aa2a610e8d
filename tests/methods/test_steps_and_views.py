"""Steps of an epoch and augmentation of a recipe act on every method alike, whatever corrections it is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.cases import cases

import longtail as lt
from longtail.data import Examples, TrainingSet
from longtail.data.together import Together
from longtail.data.turned import Turned
from longtail.engine import Recipe, Training
from longtail.methods import method

TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor([40, 20, 9]))
IMAGES = torch.rand(69, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1 * TARGETS[:, None, None, None]
DATA = TrainingSet(Examples(IMAGES, TARGETS, ("a", "b", "c")))
RECIPE = Recipe(epochs=2, batch_size=16, model="convnet", model_args={"width": 4}, steps=3, augmentation="strong")
SPECS = [
    "ce", "mixup", "drs", "drw", "crt", "bbn", "ssp", "mislas", "oltr", "ssp(base='mixup')", "drs(base='mixup')",
    "crt(base='bbn')", "absgd(base='bbn')", "mixup(base='los')",
]  # fmt: skip


def sources(rows: Any) -> list[Any]:
    """The rows behind the batches, of every sampler."""
    if isinstance(rows, Together):
        return [one for part in (rows.main, rows.second) if part is not None for one in sources(part)]
    return sources(rows.rows) if isinstance(rows, Turned) else [rows]


@cases("spec", SPECS)
def test_every_stage_has_the_steps_and_the_view_of_the_recipe(spec: str) -> None:
    stages = method(spec).stages(RECIPE)
    training = Training(stages, DATA)
    records = list(training)
    assert len(records) == sum(stage.epochs for stage in stages)
    previous = None
    for stage in stages:
        built = stage.built(DATA, previous)
        previous = built.learner
        assert built.data.steps() == 3
        assert len(list(built.data.batches(0.0, torch.Generator().manual_seed(0)))) == 3
        for rows in sources(built.data):
            assert rows.views == ("strong",)
            assert not rows.view_of.any()
    plain = Training(method(spec).stages(replace(RECIPE, augmentation="usual")), DATA)
    list(plain)
    assert not plain.learner.predict(IMAGES).equal(training.learner.predict(IMAGES))


def test_rows_with_views_of_their_own_are_refused() -> None:
    (stage,) = method("over-rs").stages(RECIPE)
    with pytest.raises(ValueError, match="augmentation must be usual for rows with views of their own, got strong"):
        stage.built(DATA, None)


def test_mixing_and_deferred_draws_stand_beside_rows_without_labels() -> None:
    result = lt.compare("digits", labeled=0.2, methods=["ce", "mixup", "drs", "mislas"], seeds=1, epochs=1, jobs=1)
    assert not result.summary["failed"]
