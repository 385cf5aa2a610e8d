"""Every method of the catalogue on a network of one's own: it trains, saves and loads it, or is refused before that."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cases import cases
from tests.methods import task_data
from torch import nn

import longtail as lt
from longtail.data import Examples, Splits
from longtail.engine import Recipe
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

pytestmark = pytest.mark.slow  # it trains every method

RECIPE = Recipe(epochs=2, batch_size=16, lr=0.1)
OURS_ALONE = ("bbn", "ride")
"""Methods that divide the layers of longtail's networks."""


def own(num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    first = nn.Linear(math.prod(input_shape), 8)
    return nn.Sequential(nn.Flatten(), first, nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, num_classes))


@cache
def splits(key: str) -> Splits:
    return task_data.splits_for(method(key), apart=2.0, val=0.2)


@cases("key", [key for key in CATALOG if key not in OURS_ALONE])
def test_every_other_method_trains_saves_and_loads_it(key: str, tmp_path: Path) -> None:
    data = splits(key)
    recipe = method(key).long_enough(RECIPE)
    run = train(key, data, folder=tmp_path / key, network=own, recipe=recipe, threads=1)
    assert isinstance(data.test, Examples)
    loaded = Run.load(run.folder, own).predictor
    assert loaded.network.builder["name"] in ("own", "estimator")  # type: ignore[union-attr,index]
    assert torch.equal(loaded.scores(data.test.inputs), run.predictions()["scores"])


@cases("spec", ["ride", "ride(experts=1)", "absgd(base='ride')", "sam(base='ride')"])
def test_what_divides_our_layers_is_refused_before_training(spec: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="needs a network of longtail's, for which it sets branches and narrow"
    ) as raised:
        Fit(spec, splits("ce"), network=own, recipe=RECIPE, folder=tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert f"network={__name__}.own" in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_network_of_ours_without_branches_is_refused_too(tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).random((60, 32, 32, 3)).astype(np.float32)
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    with pytest.raises(ValueError, match="'ride' needs a network that takes branches and narrow, got wide_resnet"):
        lt.compare(inputs, labels, labeled=0.5, methods="ce,ride", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_method_that_sets_arguments_unsaid_is_refused_in_one_line() -> None:
    recipe = Recipe(model_args={"branches": 2}, own=RECIPE.with_network(own, splits("ce").train).own)
    with pytest.raises(ValueError, match=r"network must be one of longtail's to take branches, got .*own; leave out"):
        recipe.network(splits("ce").train)
