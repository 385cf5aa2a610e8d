"""Trainings of a network of one's own: saved, loaded, resumed after a kill, and refused where they must be."""

from __future__ import annotations

import json
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from forging import forged
from tests.cases import cases
from tests.forked import SERVER
from tests.methods import task_data
from torch import nn

import longtail as lt
from longtail import cli
from longtail.data import Splits
from longtail.data.read.arrays import examples
from longtail.engine import Recipe
from longtail.methods import method
from longtail.runs import Run, train
from longtail.runs.train import Fit

SPLITS = Splits(
    "points",
    *(
        examples(torch.randn(len(y), 4, generator=torch.Generator().manual_seed(seed)) + y[:, None], y)
        for seed, y in enumerate([torch.arange(3).repeat_interleave(torch.tensor([40, 12, 6]))] * 2)
    ),
)
RECIPE = Recipe(epochs=5, batch_size=16, lr=0.1)
METHOD = "absgd(base='ldam-drw')"
FILES = ("predictions.safetensors", "model.safetensors")


def points(num_classes: int, width: int = 6) -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, num_classes)
    )


def trained(folder: Path, network: Any = points, spec: str = METHOD, **options: Any) -> Run:
    return train(spec, SPLITS, folder=folder, network=network, recipe=RECIPE, threads=1, **options)


def of_task(spec: str, folder: Path, **options: Any) -> Run:
    """Train on data of the method's task."""
    data = task_data.splits(method(spec).task)
    return train(spec, data, folder=folder, network=points, recipe=RECIPE, threads=1, **options)


def paused(spec: str, folder: Path, stage: str) -> None:
    """Train in a process of its own, which stops after the third epoch of a stage to be killed."""

    def hook(record: dict[str, Any]) -> None:
        if (record["stage"], record["epoch"]) == (stage, 3):
            folder.with_suffix(".paused").touch()
            time.sleep(600)

    of_task(spec, folder, on_epoch=hook)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("own") / "run")


def test_the_head_is_the_methods(run: Run) -> None:
    meta = json.loads((run.folder / "meta.json").read_text())
    assert meta["network"]["head"] == "cosine"
    assert meta["network"]["factory"] == f"{__name__}.points"
    assert float(run.predictions()["scores"].abs().max()) <= 30 + 1e-4  # the loss's scale times a cosine
    assert run.predictor.network.body.model[0].weight.shape == (6, 4)  # type: ignore[union-attr,index]


def test_loaded_with_its_function_it_predicts_the_same(run: Run) -> None:
    expected = run.predictions()["scores"]
    for predictor in (run.predictor, Run.load(run.folder, points).predictor, lt.load(run.folder, network=points)):
        assert torch.equal(predictor.scores(SPLITS.test.inputs), expected)  # type: ignore[union-attr]


def test_without_its_function_the_scores_are_read_and_predicting_says_what_is_missing(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = Run.load(run.folder)
    assert loaded.scores == run.scores
    with pytest.raises(
        ValueError, match=r"was made by .*points, which is not part of longtail; load the model in Python"
    ):
        _ = loaded.predictor
    (tmp_path / "new.csv").write_text("a,b,c,d\n1,2,3,4\n")
    assert cli.run(["predict", str(run.folder), str(tmp_path / "new.csv")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("longtail: error: the network in")
    assert f"made by {__name__}.points" in captured.err
    assert captured.err.count("\n") == 1


def test_another_function_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"network must make the network in .*, got one of another structure"):
        lt.load(run.folder, network=partial(points, width=7))
    with pytest.raises(TypeError, match="must be a function of num_classes"):
        lt.load(run.folder, network="points")
    ours = train("ce", SPLITS, folder=tmp_path / "ours", recipe=RECIPE)
    with pytest.raises(ValueError, match=r"network= is for models of networks of one's own, not for .*; leave it out"):
        lt.load(ours.folder, network=points)


def test_a_forged_description_is_damage(run: Run, tmp_path: Path) -> None:
    run.predictor.save(tmp_path)
    forged(tmp_path, lambda meta: meta["network"].update(input_shape="x"))
    with pytest.raises(ValueError, match=r"the model in .* is damaged \(input_shape"):
        lt.load(tmp_path, network=points)


@pytest.mark.slow
@cases(
    ("spec", "stage"),
    {METHOD: "train", "crt": "train", "fixmatch": "train", "proden": "train", "simclr": "encoder"}.items(),
)
def test_killed_and_started_again_it_ends_with_the_same_bytes(spec: str, stage: str, tmp_path: Path) -> None:
    """The first leaf of every task, and a stage that goes on with the network of the one before."""
    whole, folder = of_task(spec, tmp_path / method(spec).key / "whole"), tmp_path / method(spec).key / "killed"
    process = SERVER.Process(target=paused, args=(spec, folder, stage))
    process.start()
    deadline = time.monotonic() + 120
    while not folder.with_suffix(".paused").exists():
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    epochs: list[int] = []
    of_task(spec, folder, on_epoch=lambda record: epochs.append(record["epoch"]))
    assert epochs == [record["epoch"] for record in whole.records[3:]]
    for name in FILES:
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_the_folder_belongs_to_the_function(run: Run) -> None:
    assert trained(run.folder).scores == run.scores
    with pytest.raises(
        ValueError, match=r"holds another configuration: recipe.network.name is .*points' there, .*width=7"
    ):
        trained(run.folder, partial(points, width=7))
    with pytest.raises(ValueError, match=r"recipe.network is .* there, None was asked"):
        trained(run.folder, None)


def test_an_interrupted_training_goes_on_only_with_the_same_network(tmp_path: Path) -> None:
    """The name is the same each time; width and pretrained values are what differs."""
    width, value = 6, 0.5

    def pretrained(num_classes: int) -> nn.Module:
        first = nn.Linear(4, width)
        nn.init.constant_(first.weight, value)
        return nn.Sequential(first, nn.ReLU(), nn.Linear(width, num_classes))

    def begun() -> Fit:
        return lt.fit("ce", SPLITS, network=pretrained, recipe=RECIPE, folder=tmp_path / "run")

    first = begun()
    next(first)
    first.close()
    width = 7
    with pytest.raises(ValueError, match=r"another configuration: recipe.network.structure is"):
        next(begun())
    width, value = 6, 0.25
    with pytest.raises(ValueError, match=r"another configuration: recipe.network.weights is"):
        next(begun())
    value = 0.5
    assert [record["epoch"] for record in begun()] == [2, 3, 4, 5]


def test_a_linear_layer_of_ones_own_trains_as_ours(tmp_path: Path) -> None:
    ours = train(
        "ce", SPLITS, folder=tmp_path / "ours", recipe=Recipe(epochs=3, batch_size=16, model="linear"), threads=1
    )
    own = train(
        "ce", SPLITS, folder=tmp_path / "own", recipe=Recipe(epochs=3, batch_size=16), threads=1,
        network=lambda num_classes: nn.Linear(4, num_classes),
    )  # fmt: skip
    assert torch.equal(own.predictions()["scores"], ours.predictions()["scores"])


def test_fit_takes_it_with_the_data(tmp_path: Path) -> None:
    fit = lt.fit("ce", SPLITS, network=points, recipe=RECIPE)
    assert len(list(fit)) == RECIPE.epochs
    assert isinstance(fit.learner.network.body.model[0], nn.Linear)  # type: ignore[union-attr,index]
    with pytest.raises(TypeError, match="must be a function of num_classes"):
        lt.fit("ce", "no-such-file.csv", network=points(3))


def test_fit_takes_what_data_are_read_with() -> None:
    fit = lt.fit("fixmatch", "digits", labeled=0.2, network=lambda num_classes: nn.Sequential(
        nn.Flatten(), nn.Linear(64, num_classes)
    ))  # fmt: skip
    assert fit.splits.unlabeled is not None
    assert next(fit)["loss"] > 0
    with pytest.raises(ValueError, match="eposch is not read for digits"):
        lt.fit("ce", "digits", eposch=3)


def test_a_recipe_that_names_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="network and the recipe's model both name the network, got model 'mlp'"):
        lt.fit("ce", SPLITS, network=points, recipe=Recipe(model="mlp"))
