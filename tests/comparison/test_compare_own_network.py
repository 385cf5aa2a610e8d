"""Comparisons on a network of one's own: in worker processes, in folds, and their identity."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.cases import cases
from torch import nn

import longtail as lt
from longtail.comparison import compare, prepare
from longtail.comparison.estimate import estimate
from longtail.data import pool
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.runs.cross_validation import train_folds
from longtail.runs.run import Run

Y = np.repeat([0, 1, 2], [60, 24, 12])
X = np.random.default_rng(0).normal(size=(len(Y), 3)) + Y[:, None]
PICTURES = np.random.default_rng(1).integers(0, 256, (len(Y), 32, 32, 3), dtype=np.uint8)
SMALL: dict[str, Any] = {"epochs": 2, "methods": "ce,ldam-drw,logit-adjusted-posthoc", "seeds": 1, "jobs": 1}


def small(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, num_classes))


def conv(num_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(16, num_classes),
    )  # fmt: skip


def wide(num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], 5), nn.ReLU(), nn.Linear(5, num_classes))


def other(num_classes: int) -> nn.Module:
    return small(num_classes)


def bytes_of(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.glob("*/seed-*/predictions.safetensors"))}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("own") / "out"
    assert compare(X, Y, network=small, out=out, **SMALL).ok
    return out


def test_every_method_trains_it(done: Path) -> None:
    config = json.loads((done / "config.json").read_text())
    assert config["recipe"]["network"]["name"] == f"{__name__}.small"
    assert "own" not in config["recipe"]
    heads = {
        path.parts[-3].rpartition("-")[0]: json.loads(path.read_text())["network"]["head"]
        for path in done.glob("*/seed-0/meta.json")
    }
    assert set(heads.values()) == {"linear", "cosine"}


def test_a_comparison_without_it_has_no_such_entry(tmp_path: Path) -> None:
    compare(X, Y, out=tmp_path, **{**SMALL, "methods": "ce"})
    recipe = json.loads((tmp_path / "config.json").read_text())["recipe"]
    assert not {"network", "own"} & set(recipe)


def test_another_network_is_refused(done: Path) -> None:
    with pytest.raises(ValueError, match=r"another comparison: recipe.network.name is '.*small' there, '.*other' was"):
        compare(X, Y, network=other, out=done, **SMALL)
    with pytest.raises(ValueError, match=r"another comparison: recipe.network is"):
        compare(X, Y, out=done, **SMALL)


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes(done: Path, tmp_path: Path) -> None:
    assert compare(X, Y, network=small, out=tmp_path, **{**SMALL, "jobs": 2, "methods": "ce,ldam-drw"}).ok
    assert len(bytes_of(tmp_path)) == 2
    assert bytes_of(tmp_path).items() <= bytes_of(done).items()


@pytest.mark.slow
def test_a_function_without_a_module_is_sent_to_workers_by_value() -> None:
    made = {**SMALL, "jobs": 2, "methods": "ce", "seeds": 2}
    assert compare(X, Y, network=lambda num_classes: nn.Linear(3, num_classes), **made).ok


def test_what_cannot_be_pickled_runs_in_this_process(caplog: pytest.LogCaptureFixture) -> None:
    lock = threading.Lock()

    def guarded(num_classes: int) -> nn.Module:
        with lock:
            return small(num_classes)

    with caplog.at_level(logging.WARNING):
        assert compare(X, Y, network=guarded, **{**SMALL, "jobs": 2, "methods": "ce", "seeds": 2}).ok
    assert "network cannot be pickled for worker processes" in caplog.text
    assert "all runs in this process" in caplog.text


TASKS: list[tuple[dict[str, Any], set[str]]] = [
    ({"methods": "crt,sam"}, {"ce", "crt", "sam"}),
    ({"methods": "fixmatch", "labeled": 0.5}, {"ce", "fixmatch", "oracle"}),
    ({"methods": "proden", "ambiguity": 0.3}, {"cc", "proden", "oracle", "oracle-la"}),
    ({"methods": "simclr", "task": "self-supervised"}, {"simclr", "random-encoder", "ce"}),
]


@cases(("asked", "rows"), TASKS)
def test_every_task_on_images_with_their_views(asked: dict[str, Any], rows: set[str]) -> None:
    """32 pixels: where some rows have no labels, our own default would be a wide_resnet."""
    result = compare(PICTURES, Y, network=conv, **{**SMALL, **asked})
    assert result.ok
    assert {row["method"] for row in result.rows} == rows


def test_a_preset_leaves_out_what_needs_our_layers(caplog: pytest.LogCaptureFixture) -> None:
    keys = {m.key for m in prepare(X, Y, methods="all", network=small).methods}
    assert "ride" not in keys
    assert "crt" in keys
    assert "method 'ride' needs a network of longtail's" in caplog.text
    assert "left out" in caplog.text


@cases("named", [{"methods": "ce,ride"}, {"methods": "ce,sam(base='ride')"}, {"methods": "ce", "baseline": "ride"}])
def test_naming_what_needs_our_layers_is_refused(named: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs a network of longtail's.*leave out the method, or network="):
        compare(X, Y, network=small, out=tmp_path / "out", **{**SMALL, **named})
    assert not (tmp_path / "out").exists()


def test_the_run_of_all_folds_says_whose_network_it_was(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=list("abc")).assign(kind=[f"k{y}" for y in Y])
    frame.loc[5, "a"] = np.nan  # a blank in one training part of two: one input more, which says where it was
    folds = Folds(pool(frame, "kind"), 2)
    recipe = Recipe(epochs=2, batch_size=16)
    run = train_folds("ce", folds, folder=tmp_path / "run", network=wide, recipe=recipe)
    assert run.config["recipe"]["network"]["name"] == f"{__name__}.wide"
    structures = {Run.load(tmp_path / "run" / f"fold-{j}").config["recipe"]["network"]["structure"] for j in range(2)}
    assert len(structures) == 2
    for j in range(2):
        assert len(lt.load(tmp_path / "run" / f"fold-{j}", network=wide).predict(frame.drop(columns="kind"))) == len(Y)
    assert train_folds("ce", folds, folder=tmp_path / "run", network=wide, recipe=recipe).scores == run.scores
    with pytest.raises(ValueError, match=r"holds another configuration: recipe.network is"):
        train_folds("ce", folds, folder=tmp_path / "run", recipe=recipe)


def test_estimators_beside_it_in_folds_are_measured_and_loaded(tmp_path: Path) -> None:
    options = {**SMALL, "methods": "ce,logistic", "folds": 2}
    del options["jobs"]
    assert estimate(prepare(X, Y, network=small, out=tmp_path / "new", **options), jobs=1)


def test_folds_and_estimates(tmp_path: Path) -> None:
    options = {**SMALL, "methods": "ce", "folds": 2}
    assert compare(X, Y, network=small, out=tmp_path / "out", **options).ok
    run = lt.Run.load(next((tmp_path / "out").glob("ce*/seed-0/fold-0")), small)
    assert run.predict(X[:2])[0] in ("0", "1", "2")
    del options["jobs"]
    assert estimate(prepare(X, Y, network=small, out=tmp_path / "new", **options), jobs=1)


def test_a_table_of_numbers_takes_it_and_one_of_categories_does_not() -> None:
    frame = pd.DataFrame(X, columns=list("abc")).assign(kind=Y)
    frame["kind"] = frame["kind"].map({0: "x", 1: "y", 2: "z"})
    assert compare(frame, "kind", network=small, **{**SMALL, "methods": "ce"}).ok
    frame["d"] = np.where(np.arange(len(Y)) % 2, "left", "right")
    with pytest.raises(ValueError, match="network cannot be one's own for a table with columns of categories"):
        compare(frame, "kind", network=small, **SMALL)


def test_two_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="network and model both name the network"):
        compare(X, Y, network=small, model="mlp", **SMALL)
    with pytest.raises(TypeError, match="unknown option 'own'"):
        compare(X, Y, own=small, **SMALL)
    with pytest.raises(TypeError, match="network must be a function of num_classes"):
        compare("no-such-file.csv", network="mlp", **SMALL)
