"""Methods for imbalance on wrong labels: trained as on any others, killed and resumed, blind to the truth."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.forked import SERVER
from tests.methods import task_data

from longtail.data import Splits, TrainingSet
from longtail.engine import Recipe, Training
from longtail.methods import method
from longtail.runs.fit import Fit
from longtail.runs.run import Run
from longtail.runs.train import train

pytestmark = pytest.mark.slow  # each method is trained three times, once in a process that is killed
METHODS = ["mislas", "crt", "ncm", "ldam-drw", "logit-adjusted", "rolt", "rolt-drw", "crt(base='rolt')"]
RECIPE = Recipe(epochs=6, batch_size=16, model="mlp", model_args={"hidden": (8,)})
WRONG = 0.3


@cache
def noisy() -> Splits:
    """Every class of the training rows has 30 % wrong labels, moved to the next class; the truth is beside them."""
    clean = task_data.splits("supervised", (60, 30, 12), apart=3.0)
    y = clean.train.targets
    labels = y.clone()
    generator = torch.Generator().manual_seed(0)
    for j in range(3):
        mine = torch.nonzero(y == j).flatten()
        chosen = mine[torch.randperm(len(mine), generator=generator)[: int(WRONG * len(mine))]]
        labels[chosen] = (j + 1) % 3
    return replace(clean, train=replace(clean.train, targets=labels), truth=y)


def pause(spec: str, folder: Path, place: tuple[str, int]) -> None:
    """Train in a process of its own, and wait there after one epoch, to be killed."""

    def wait(record: dict[str, Any]) -> None:
        if (record["stage"], record["epoch"]) == place:
            folder.with_suffix(".paused").touch()
            time.sleep(600)

    train(spec, noisy(), folder=folder, recipe=RECIPE, threads=1, on_epoch=wait)


def killed(spec: str, folder: Path, place: tuple[str, int]) -> None:
    process = SERVER.Process(target=pause, args=(spec, folder, place))
    process.start()
    marker, deadline = folder.with_suffix(".paused"), time.monotonic() + 120
    while not marker.exists():
        assert process.is_alive(), process.exitcode
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("runs")

    @cache
    def run(spec: str) -> Run:
        return train(spec, noisy(), folder=root / str(METHODS.index(spec)), recipe=RECIPE, threads=1)

    return run


def predictions(run: Run) -> bytes:
    return (run.folder / "predictions.safetensors").read_bytes()


def test_a_fifth_of_the_labels_and_more_are_wrong_in_every_class() -> None:
    found = noisy()
    assert found.truth is not None
    for j in range(3):
        mine = found.truth == j
        assert 0.2 < float((found.train.targets[mine] != j).double().mean()) < 0.31


@pytest.mark.parametrize("spec", METHODS)
def test_killed_in_its_last_trained_stage_it_ends_with_the_same_bytes(runs: Any, spec: str, tmp_path: Path) -> None:
    *_, last = [stage for stage in method(spec).stages(RECIPE) if stage.epochs]
    place = (last.name, max(last.epochs - 1, 1) if last.name == "train" else 1)
    folder = tmp_path / "run"
    killed(spec, folder, place)
    assert not (folder / "run.json").exists()
    resumed = Fit(spec, noisy(), folder=folder, recipe=RECIPE, threads=1)
    records = list(resumed)
    told = [(r["stage"], r["epoch"]) for r in resumed.run.records]
    assert len(records) < len(told) == sum(stage.epochs for stage in method(spec).stages(RECIPE))
    assert predictions(resumed.run) == predictions(runs(spec))


@pytest.mark.parametrize("spec", METHODS)
def test_it_does_not_see_which_labels_are_wrong(runs: Any, spec: str, tmp_path: Path) -> None:
    blind = replace(noisy(), truth=None)
    assert predictions(train(spec, blind, folder=tmp_path, recipe=RECIPE, threads=1)) == predictions(runs(spec))


@pytest.mark.parametrize("spec", METHODS)
def test_it_learns_the_classes_and_not_the_noise(runs: Any, spec: str) -> None:
    assert runs(spec).scores["balanced_accuracy"] > 0.6


@pytest.mark.parametrize("spec", ["ldam-drw", "logit-adjusted", "mislas"])
def test_class_counts_are_those_of_the_labels_it_is_given(spec: str) -> None:
    rows = TrainingSet.of(noisy())
    given = torch.bincount(rows.labeled.targets, minlength=3)
    assert noisy().truth is not None
    assert given.tolist() != torch.bincount(noisy().truth, minlength=3).tolist()  # type: ignore[arg-type]
    previous: Any = None
    for stage in method(spec).stages(RECIPE):
        previous = stage.build(rows, previous).learner
    assert previous.loss.class_counts.tolist() == given.tolist()


@pytest.mark.parametrize("spec", ["rolt", "rolt-drw"])
def test_what_rolt_judges_wrong_is_wrong_more_often_than_not(spec: str) -> None:
    training = Training(method(spec).stages(RECIPE), TrainingSet.of(noisy()))
    list(training)
    truth, judged = noisy().truth, ~training.learner.targets.clean
    assert truth is not None
    wrong = noisy().train.targets != truth
    assert float(wrong[judged].double().mean()) > 0.5 > float(wrong.double().mean())
