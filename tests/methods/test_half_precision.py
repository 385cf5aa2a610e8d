"""Every method trains in bfloat16 and float16: the losses are float32 and finite, and every part that learns moves."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace

import pytest
import torch
from tests.cases import cases
from tests.methods import task_data

from longtail.data import TrainingSet
from longtail.data.true_labels import with_true_counts
from longtail.engine import Recipe
from longtail.engine.randomness import generator, seeded
from longtail.facts.learner import Learner
from longtail.facts.types import Step
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.methods.presets import CLASSICAL, ESTIMATOR_THRESHOLDS, ESTIMATORS

pytestmark = pytest.mark.slow  # it trains every method

RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})
KEYS = [key for key in CATALOG if key not in (*ESTIMATORS, *ESTIMATOR_THRESHOLDS, *CLASSICAL)]
STEPS = 8
DTYPES = {  # a recipe's precision runs the body in it; a loop of one's own runs everything under autocast
    "the recipe's bfloat16": (replace(RECIPE, precision="bfloat16"), contextlib.nullcontext()),
    "the recipe's float16": (replace(RECIPE, precision="float16"), contextlib.nullcontext()),
    "a loop's autocast": (RECIPE, torch.autocast("cpu", torch.bfloat16)),
}


@cases("precision", DTYPES)
@pytest.mark.parametrize("key", KEYS)
def test_every_method_trains_in_half_precision(key: str, precision: str) -> None:
    recipe, context = DTYPES[precision]
    splits = task_data.splits_for(method(key), apart=2.0)
    data = with_true_counts(splits) if method(key).keeps_labels else TrainingSet.of(splits)
    previous: Learner | None = None
    for stage in method(key).stages(recipe):
        with seeded(0, 0, 0, "build", "cpu"):
            learner, batches, update = stage.build(data, previous)
        previous = learner.train()
        if not stage.epochs:
            continue
        before = {name: p.detach().clone() for name, p in learner.named_parameters() if p.requires_grad}
        optimizer = stage.start(learner)
        steps: list[Step] = []
        for progress in (0.0, 0.8):  # what is deferred has begun
            learner.start_epoch(batches, progress)
            drawn = batches.batches(progress, generator(0, 0, int(10 * progress), "order"))
            for batch in itertools.islice(drawn, STEPS):
                with context:
                    steps.append(update(learner, batch, optimizer, progress))
                learner.after_update(batch, steps[-1], progress)
        losses = [loss for step in steps for loss in (step.loss, step.losses) if loss is not None]
        assert {loss.dtype for loss in losses} == {torch.float32}
        assert all(loss.isfinite().all() for loss in losses)
        after = dict(learner.named_parameters())
        assert all(p.dtype == torch.float32 and p.isfinite().all() for p in after.values())
        moved = [name for name, p in before.items() if not torch.equal(p, after[name])]
        assert moved == list(before), f"{set(before) - set(moved)} of stage {stage.name} did not move"
