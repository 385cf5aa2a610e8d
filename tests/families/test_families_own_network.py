"""The trial methods on a network of one's own: each puts its own head in the place of the last layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import toys
from tests.cases import cases
from torch import nn

from longtail.data import Examples
from longtail.engine import Recipe
from longtail.methods import method
from longtail.runs.run import Run
from longtail.runs.train import train

RECIPE = Recipe(epochs=2, batch_size=16, lr=0.1)


def own(num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, num_classes))


def trained(spec: str, folder: Path, **options: Any) -> Run:
    data = toys.SPLITS[method(spec).task]
    return train(spec, data, folder=folder, network=own, recipe=RECIPE, threads=1, **options)


SPECS = {
    "sam(base='ldam-drw')": "cosine",
    "absgd(base='ldam-drw')": "cosine",
    "crt": "linear",
    "ncm": "ncm",
    "darp": "linear",
    "records": "linear",
    "ts(cycles=1)": "linear",
}


@cases(("spec", "head"), SPECS.items())
def test_methods_of_every_family_train_save_and_load_it(spec: str, head: str, tmp_path: Path) -> None:
    run = trained(spec, tmp_path / "".join(filter(str.isalnum, spec)))
    network = run.predictor.network
    assert network.builder["head"] == head  # type: ignore[union-attr,index]
    test = toys.SPLITS[method(spec).task].test
    assert isinstance(test, Examples)
    loaded = Run.load(run.folder, own).predictor
    assert torch.equal(loaded.scores(test.inputs), run.predictions()["scores"])


def test_a_frozen_body_is_the_one_of_the_stage_before(tmp_path: Path) -> None:
    plain, decoupled = (trained(spec, tmp_path / spec).predictor.network.state_dict() for spec in ("ce", "crt"))
    for name in ("body.model.0.weight", "body.model.0.bias"):
        assert torch.equal(plain[name], decoupled[name])
    assert not torch.equal(plain["head.weight"], decoupled["head.weight"])
