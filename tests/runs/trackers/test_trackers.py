"""Trackers: every epoch once whatever was interrupted, nothing changed, and a failure that harms nothing.

TensorBoard and a local MLflow are read back; Weights & Biases is a small double of its API, offline.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.cases import cases

import longtail as lt
from longtail.cli import run as command
from longtail.comparison import compare
from longtail.data import Splits
from longtail.engine import Recipe
from longtail.runs.fit import Fit
from longtail.runs.trackers import Tracker, named
from longtail.runs.train import train

EPOCHS = 5
RECIPE = Recipe(epochs=EPOCHS, batch_size=64, model="linear")
Read = tuple[dict[int, float], dict[str, float], dict[str, str]]
"""step -> loss; the final scores; the parameters."""


@pytest.fixture(scope="module")
def splits() -> Splits:
    return lt.data.load("digits")


@pytest.fixture(scope="module")
def plain(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> lt.Run:
    return train("ce", splits, folder=tmp_path_factory.mktemp("plain") / "run", recipe=RECIPE, evaluations=2)


@pytest.fixture(params=["tensorboard", "mlflow", "wandb"])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for variable in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    before = {**os.environ}
    if request.param == "wandb":
        _double(monkeypatch)
    else:
        pytest.importorskip(request.param)
    yield request.param
    for variable in set(os.environ) - set(before):
        del os.environ[variable]


def read(name: str, place: Path) -> list[Read]:
    """What a tracker has, run by run."""
    return {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}[name](place)


def _tensorboard(place: Path) -> list[Read]:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    found = []
    for folder in sorted(path for path in place.iterdir() if path.is_dir()):
        scalars: list[tuple[str, int, float]] = []
        words: dict[str, str] = {}
        for file in sorted(folder.glob("events.*")):  # every event as it is in the file: nothing may be there twice
            for event in EventFileLoader(str(file)).Load():
                for value in event.summary.value:
                    if not value.HasField("tensor") or not value.tensor.dtype:
                        continue
                    held = make_ndarray(value.tensor)
                    if held.dtype.kind == "f" and held.size == 1:
                        scalars.append((value.tag, event.step, held.item()))
                    elif value.tag.startswith("configuration"):
                        words = {k: str(v) for k, v in json.loads(held.item()).items()}
        losses = [(step, value) for tag, step, value in scalars if tag == "loss"]
        assert len(losses) == len(dict(losses))
        found.append((dict(losses), {t: v for t, _, v in scalars if t.startswith("final/")}, words))
    return found


def _mlflow(place: Path) -> list[Read]:
    from longtail.runs.trackers.mlflow import client

    found = []
    store = client(str(place))
    for experiment in store.search_experiments():
        for one in store.search_runs([experiment.experiment_id]):
            history = [(m.step, m.value) for m in store.get_metric_history(one.info.run_id, "loss")]
            assert len(history) == len(dict(history))
            final = {k: v for k, v in one.data.metrics.items() if k.startswith("final/")}
            assert one.info.status == "FINISHED"
            found.append((dict(history), final, dict(one.data.params)))
    return found


class _WandbRun:
    """As much of wandb's Run as is used: log with a step, a summary, finish."""

    every: list[_WandbRun]

    def __init__(self, **given: Any) -> None:
        self.given, self.logged, self.summary, self.code = given, [], {}, None
        self.every.append(self)

    def log(self, numbers: dict[str, float], step: int) -> None:
        self.logged.append((step, numbers))

    def finish(self, exit_code: int) -> None:
        self.code = exit_code


def _double(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("wandb")
    module.__spec__ = SimpleNamespace(name="wandb")  # type: ignore[assignment]
    _WandbRun.every = []
    module.init = _WandbRun  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)


def _wandb(place: Path) -> list[Read]:
    assert os.environ["WANDB_MODE"] == "offline"
    found: dict[str, Read] = {}
    for one in _WandbRun.every:
        losses, _, _ = found.setdefault(one.given["id"], ({}, {}, {}))
        for step, numbers in one.logged:
            if "loss" in numbers:
                assert step not in losses
                losses[step] = numbers["loss"]
        found[one.given["id"]] = losses, one.summary, {k: str(v) for k, v in one.given["config"].items()}
        assert (one.given["resume"], one.given["dir"]) == ("allow", str(place))
    return list(found.values())


def check(found: Read, run: lt.Run) -> None:
    losses, final, about = found
    assert losses.keys() == set(range(1, EPOCHS + 1))
    for step, record in enumerate(run.records, 1):
        assert math.isclose(losses[step], record["loss"], rel_tol=1e-6)
    assert math.isclose(final["final/balanced_accuracy"], run.scores["balanced_accuracy"], rel_tol=1e-6)
    assert (about["method"], about["recipe.epochs"]) == ("ce", str(EPOCHS))


def test_every_epoch_is_there_once_after_an_interruption_and_no_byte_is_another(
    name: str, splits: Splits, plain: lt.Run, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"folder": tmp_path / "run", "recipe": RECIPE, "evaluations": 2, "tracker": name}
    fit = Fit("ce", splits, **options)
    for record in fit:
        if record["epoch"] == 3:
            break
    fit.close()
    run = train("ce", splits, **options)
    (found,) = read(name, tmp_path / "run" / name)
    check(found, run)
    assert run.result["scores"] == plain.result["scores"]
    for file in ("model.safetensors", "predictions.safetensors"):
        assert (run.folder / file).read_bytes() == (plain.folder / file).read_bytes()
    written = [{k: v for k, v in one.items() if "seconds" not in k} for one in (*run.records, *plain.records)]
    assert written[:EPOCHS] == written[EPOCHS:]


def test_lines_that_are_cut_and_those_that_a_tracker_lacks(name: str, splits: Splits, tmp_path: Path) -> None:
    options: dict[str, Any] = {"folder": tmp_path / "run", "recipe": RECIPE}
    fit = Fit("ce", splits, **options)  # two epochs without a tracker
    for _ in range(2):
        next(fit)
    fit.close()
    fit = Fit("ce", splits, **options, tracker=name)
    next(fit)
    state = (tmp_path / "run" / "checkpoint" / "state.safetensors").read_bytes()
    next(fit)
    fit.close()
    # killed before the checkpoint of epoch 4 was written, whose line and tracker were
    (tmp_path / "run" / "checkpoint" / "state.safetensors").write_bytes(state)
    run = train("ce", splits, **options, tracker=name)
    (found,) = read(name, tmp_path / "run" / name)
    check(found, run)


def test_a_finished_run_is_sent_when_it_is_asked_for_later(name: str, splits: Splits, tmp_path: Path) -> None:
    train("ce", splits, folder=tmp_path / "run", recipe=RECIPE)
    for _ in range(2):
        run = train("ce", splits, folder=tmp_path / "run", recipe=RECIPE, tracker=name)
        (found,) = read(name, tmp_path / "run" / name)
        check(found, run)


def test_the_folds_of_a_comparison_and_its_table(name: str, tmp_path: Path) -> None:
    result = compare(
        "digits", methods="ce,logit-adjusted", seeds=1, epochs=2, model="linear", jobs=1, out=tmp_path, tracker=name
    )
    found = read(name, tmp_path / name)
    assert sorted(len(losses) for losses, _, _ in found) == [0, 2, 2]
    final = next(final for losses, final, _ in found if not losses)
    for row in result.rows:
        value = final[f"final/balanced_accuracy/{row['method']}"]
        assert math.isclose(value, row["mean"]["balanced_accuracy"], rel_tol=1e-6)


class _Broken:
    def __init__(self, at: str) -> None:
        self.at, self.calls = at, []

    def epoch(self, numbers: Any, step: int) -> None:
        self._call("epoch")

    def end(self, numbers: Any, text: Any = None) -> None:
        self._call("end")

    def close(self, *, failed: bool) -> None:
        self._call("close")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.at:
            raise OSError("no space\nleft")


@cases("at", ["begin", "epoch", "end", "close"])
def test_a_tracker_that_fails_is_one_warning(
    at: str, splits: Splits, plain: lt.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    broken = _Broken(at)

    def writer(*_: Any) -> _Broken:
        broken._call("begin")
        return broken

    monkeypatch.setattr(Tracker, "writer", writer)
    caplog.clear()
    run = train("ce", splits, folder=tmp_path / at, recipe=RECIPE, evaluations=2, tracker=Tracker("mlflow", "here"))
    assert run.result["scores"] == plain.result["scores"]
    (message,) = caplog.messages
    assert message == "tracker mlflow failed (OSError: no space); the training goes on without it"
    assert broken.calls[-1] == at


def test_a_training_that_fails_closes_its_run(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    broken = _Broken("never")
    broken.close = lambda *, failed: closed.append(failed)  # type: ignore[method-assign]
    monkeypatch.setattr(Tracker, "writer", lambda *_: broken)
    for error in (True, False):
        fit = Fit("ce", splits, recipe=RECIPE, tracker=Tracker("mlflow", "here"))
        next(fit)
        if error:
            with pytest.raises(ValueError, match="wrong"):
                fit.events.throw(ValueError("wrong"))
        else:
            fit.close()
    assert closed == [True, False]


@cases(
    ("given", "words"),
    [("tensorbord", "must be tensorboard"), ("mlflow:", "must be tensorboard"), (3, "must be text")],
)
def test_other_names_are_refused(given: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        named(given)


def test_a_file_is_no_place_and_is_refused_before_anything_is_read(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "t.csv").write_text("x\n")
    for name in ("tensorboard", "mlflow"):
        assert command(["train", "nowhere.csv", "--tracker", f"{name}:{tmp_path / 't.csv'}"]) == 2
        assert "must write into a folder, got the file" in capsys.readouterr().err
    assert named(f"tensorboard:{tmp_path}") is not None


def test_a_server_that_does_not_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES as RETRIES

    from longtail.runs.trackers.mlflow import client

    monkeypatch.setenv(RETRIES.name, "9")
    client("http://127.0.0.1:1")
    assert RETRIES.get() == 9
    monkeypatch.delenv(RETRIES.name)
    client("http://127.0.0.1:1")
    assert RETRIES.get() == 3


def test_a_package_that_is_absent_is_one_line_before_anything_is_read(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for verb in ("train", "compare"):
        assert command([verb, "nowhere.csv", "--tracker", "mlflow"]) == 2
        assert capsys.readouterr().err.endswith("needs a package that is not installed; install longtail[track]\n")


def test_mlflow_asks_nobody(tmp_path: Path, splits: Splits) -> None:
    pytest.importorskip("mlflow")
    train("ce", splits, folder=tmp_path / "run", recipe=RECIPE, tracker="mlflow")
    from mlflow.telemetry.client import get_telemetry_client

    assert get_telemetry_client() is None
    assert not [thread for thread in threading.enumerate() if "telemetry" in thread.name.lower()]


def test_the_address_of_the_environment_counts_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    tracker, given = named("mlflow"), named("mlflow:there")
    assert tracker is not None
    assert given is not None
    assert tracker.below(Path("runs/x")).place == "http://127.0.0.1:1"
    assert given.below(Path("runs/x")).place == "there"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlflow"], indirect=True)
def test_worker_processes_send_too(name: str, tmp_path: Path) -> None:
    compare(
        "digits", methods="ce,logit-adjusted", seeds=1, epochs=2, model="linear", jobs=2, out=tmp_path, tracker=name
    )
    assert sorted(len(losses) for losses, _, _ in read(name, tmp_path / name)) == [0, 2, 2]
