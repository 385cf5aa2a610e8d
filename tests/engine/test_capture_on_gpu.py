"""Captured steps on a GPU, as they are meant to run: equal to the eager ones, resumable, and byte for byte if asked."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.methods import task_data
from tests.methods.task_data import by_task

from longtail.data import TrainingSet
from longtail.data.true_labels import with_true_counts
from longtail.engine import Recipe, Training, state_files
from longtail.engine.capture import CapturedSteps
from longtail.engine.determinism import deterministic
from longtail.methods import method
from longtail.methods.entries import CATALOG

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch.cuda.is_available() is False"),
]
KEYS = [pytest.param(key, id=f"{task}-{key}") for task, keys in by_task(CATALOG).items() for key in keys]
MLP = Recipe(epochs=13, batch_size=16, model="mlp", model_args={"hidden": (8,)})
"""Of 51 rows: 52 steps."""


@cache
def rows(key: str) -> TrainingSet:
    splits = task_data.splits_for(method(key), apart=2.0)
    rest = None if splits.unlabeled is None else replace(splits.unlabeled, policy={})
    splits = replace(splits, train=replace(splits.train, policy={}), unlabeled=rest)
    return with_true_counts(splits) if method(key).keeps_labels else TrainingSet.of(splits)


def training(key: str, recipe: Recipe = MLP, **options: Any) -> Training:
    return Training(method(key).stages(recipe), rows(key), device="cuda", **options)


def same(one: Training, other: Training, **tolerance: float) -> None:
    for name, value in one.learner.state_dict().items():
        torch.testing.assert_close(other.learner.state_dict()[name], value, **tolerance)


@pytest.mark.parametrize("key", KEYS)
def test_fifty_captured_steps_are_the_eager_steps(key: str, caplog: pytest.LogCaptureFixture) -> None:
    eager, captured = training(key, capture=False), training(key)
    theirs, ours = list(eager), list(captured)
    assert "cannot be recorded" not in caplog.text
    assert [record["loss"] for record in ours] == pytest.approx([record["loss"] for record in theirs], rel=1e-3)
    same(eager, captured, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("key", KEYS)
def test_float16_steps_are_captured_with_their_scale(key: str, caplog: pytest.LogCaptureFixture) -> None:
    eager, captured = (training(key, replace(MLP, precision="float16"), capture=capture) for capture in (False, True))
    theirs, ours = list(eager), list(captured)
    assert "cannot be recorded" not in caplog.text
    assert [r.get("gradient_scale") for r in ours] == [r.get("gradient_scale") for r in theirs]
    assert [record["loss"] for record in ours] == pytest.approx([record["loss"] for record in theirs], rel=0.02)


@pytest.mark.parametrize("key", ["ce", "ldam-drw", "absgd", "fixmatch", "sam"])
def test_steps_are_replayed(key: str) -> None:
    captured = training(key)
    list(captured)
    assert isinstance(captured._steps, CapturedSteps)
    assert any(shape.recorded is not None for shape in captured._steps._shapes.values())


@pytest.mark.parametrize("key", ["ce", "ldam-drw", "absgd", "fixmatch"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_resume_is_exact_where_it_is_asked_for(key: str, optimizer: str) -> None:
    recipe = replace(MLP, optimizer=optimizer, lr=0.01)
    with deterministic("cuda", True):
        whole, begun = training(key, recipe), training(key, recipe)
        records, first = list(whole), list(islice(begun, 7))
        resumed = training(key, recipe, resume=begun.state())
        records_again = first + list(resumed)
    assert [record["loss"] for record in records_again] == [record["loss"] for record in records]
    same(whole, resumed, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_residual_network_is_captured(precision: str, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    splits = task_data.splits("supervised")
    inputs = torch.randint(0, 256, (len(splits.train), 3, 32, 32), dtype=torch.uint8)
    data = TrainingSet(replace(splits.train, inputs=inputs, policy={}))
    recipe = Recipe(epochs=6, batch_size=16, model="resnet32", precision=precision, lr=0.01)
    both = [
        Training(method("ldam-drw").stages(recipe), data, device="cuda", capture=capture) for capture in (False, True)
    ]
    losses = [[record["loss"] for record in one] for one in both]
    assert "cannot be recorded" not in caplog.text
    assert losses[1] == pytest.approx(losses[0], rel=0.05)  # 24 steps of a network whose last bits grow


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_network_with_its_channels_last_resumes(optimizer: str, tmp_path: Path) -> None:
    """From a file, as a run does: what the optimiser averages comes back in the layout that its fused step takes."""
    splits = task_data.splits("supervised")
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (len(splits.train), 3, 32, 32), dtype=torch.uint8, generator=generator)
    data = TrainingSet(replace(splits.train, inputs=inputs, policy={}))
    recipe = Recipe(epochs=4, batch_size=16, model="resnet32", lr=0.01, optimizer=optimizer)
    begun = Training(method("ce").stages(recipe), data, device="cuda")
    first = list(islice(begun, 2))
    state_files.save(tmp_path / "state", begun.state())
    rest = Training(method("ce").stages(recipe), data, device="cuda", resume=state_files.load(tmp_path / "state"))
    assert [record["epoch"] for record in (*first, *rest)] == [1, 2, 3, 4]
