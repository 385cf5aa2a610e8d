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
from torch import nn

import longtail as lt
from longtail.comparison import compare, prepare
from longtail.comparison.estimate import estimate

Y = np.repeat([0, 1, 2], [60, 24, 12])
X = np.random.default_rng(0).normal(size=(len(Y), 3)) + Y[:, None]
SMALL: dict[str, Any] = {"epochs": 2, "methods": "ce,ldam-drw,logit-adjusted-posthoc", "seeds": 1, "jobs": 1}


def small(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, num_classes))


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


def test_worker_processes_give_the_same_bytes(done: Path, tmp_path: Path) -> None:
    assert compare(X, Y, network=small, out=tmp_path, **{**SMALL, "jobs": 2, "methods": "ce,ldam-drw"}).ok
    assert len(bytes_of(tmp_path)) == 2
    assert bytes_of(tmp_path).items() <= bytes_of(done).items()


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
    assert "one run at a time, in this process" in caplog.text


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
