"""The dry run: every method is measured, folds multiply, runs share their workers, and nothing is left behind."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtail.cli.plan_output import show_estimate
from longtail.comparison import compare, costs, estimate, prepare
from longtail.comparison.costs import Cost, ShortRun, measure
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.runs.train import Fit

DRAW = np.random.default_rng(0)
Y = np.arange(90) % 3 // 2
X = DRAW.normal(size=(90, 4)).astype("float32") + 2 * Y[:, None]


def prepared(out: Path, **options: Any) -> Any:
    return prepare(X, Y, out=out, model="linear", **options)


def pretended(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> list[str]:
    """Costs by method in place of measured ones; the specs that were asked for, in order."""
    asked: list[str] = []

    def pretend(shorts: list[ShortRun], jobs: int) -> list[Cost]:
        asked.extend(short.spec for short in shorts)
        return [Cost(seconds[s.spec], 1.0, 0.0, 0.5, 10**8, 0) for s in shorts]

    monkeypatch.setattr(estimate, "_measure_parallel", pretend)
    monkeypatch.setattr(estimate, "_data_seconds", lambda prepared: (0.0 if prepared.folds is None else 2.0, 0.0))
    monkeypatch.setattr(estimate, "_drawing_seconds", lambda prepared: 0.0)
    return asked


SECONDS = {"ce": 10.0, "ldam": 20.0, "trees": 100.0}
METHODS = "ldam,trees,logit-adjusted-posthoc,trees-posthoc"


def test_every_method_counts_with_its_own_time_and_shared_trainings_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pretended(monkeypatch, SECONDS)
    result = estimate.estimate(prepared(tmp_path / "out", methods=METHODS, seeds=2), 1, before=7.0)
    assert asked == ["ce", "ce", "ldam", "trees"]
    once = (10 + 1) + (20 + 1) + (100 + 1) + 1 + 1  # what shares a training reads, evaluates and writes all the same
    assert result["seconds"] == pytest.approx(7.0 + 2 * once + estimate.FINAL_SECONDS, abs=0.2)
    assert result["trainings"] == 6
    assert not (tmp_path / "out").exists()


def test_folds_multiply_and_each_is_prepared_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended(monkeypatch, SECONDS)
    result = estimate.estimate(prepared(tmp_path, methods="ldam", folds=3, seeds=1), 1)
    assert result["seconds"] == pytest.approx(3 * (10 + 1 + 2) + 3 * (20 + 1 + 2) + estimate.FINAL_SECONDS, abs=0.2)


def test_runs_share_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretended(monkeypatch, SECONDS)
    result = estimate.estimate(prepared(tmp_path, methods="trees", seeds=1), 2)
    assert asked == ["ce", "ce", "ce", "trees", "ce"]  # nobody is measured alone where two run
    assert result["seconds"] == pytest.approx(101 + estimate.FINAL_SECONDS, abs=0.2)
    assert estimate._makespan([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert estimate._makespan([], 2) == 0.0


def test_on_a_gpu_the_number_at_once_is_a_limit_and_the_time_that_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = pretended(monkeypatch, SECONDS)
    on_gpu = replace(prepared(tmp_path, methods="ldam", seeds=2), device="cuda")
    result = estimate.estimate(on_gpu)
    assert asked == ["ce", "ce", "ldam"]  # one at a time
    assert result["seconds"] == pytest.approx(2 * (11 + 21) + estimate.FINAL_SECONDS, abs=0.2)
    assert (result["jobs"], estimate.estimate(on_gpu, 3)["jobs"]) == (4, 3)
    assert result["gpu_memory"] == on_gpu.splits.train.inputs.nbytes
    show_estimate(on_gpu, None, 1, json=False)
    shown = capsys.readouterr().out
    assert "up to 4 at a time" in shown
    assert "time      at most about" in shown
    assert "on the GPU, with 1 at a time" in shown


def test_where_a_network_is_slow_it_stands_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretended(monkeypatch, SECONDS)
    monkeypatch.setattr(estimate, "SLOW", 0.4)
    result = estimate.estimate(prepared(tmp_path, methods="ldam,trees", seeds=1), 1)
    assert asked == ["ce", "trees"]
    assert result["seconds"] == pytest.approx(11 + 11 + 101 + estimate.FINAL_SECONDS, abs=0.2)


def test_what_was_measured_is_scaled_by_rows_epochs_and_evaluations(tmp_path: Path) -> None:
    result = prepared(tmp_path, methods="ce", epochs=50)
    short = ShortRun.of(method("ce"), result.splits, result.recipe, "cpu", 3, 5)
    assert short.epochs == 3
    larger = ShortRun(**{**vars(short), "step_ratio": 2.0, "test_ratio": 3.0})
    walls: Any = [
        ({"stage": "train", "seconds": 9.0}, 12.0),  # it also builds and warms up
        ({"stage": "train", "seconds": 1.0}, 1.5),
        ({"stage": "train", "seconds": 3.0, "evaluation_seconds": 2.0}, 5.5),
    ]
    name = method("ce").stages(result.recipe)[0].name
    walls = [({**record, "stage": name}, wall) for record, wall in walls]
    training, beside, once = costs._scaled(larger, walls, 30.0)
    assert training == 50 * 2 * 2.0  # epochs, rows, the mean of the steady ones
    assert beside == 50 * 0.5
    # less the three epochs; five evaluations and the predictions, on three times the rows, in place of two
    assert once == 30.0 - 3 * 2.5 + 2.0 * (3 * 6 - 2)


@pytest.mark.slow
def test_the_estimate_is_within_a_factor_of_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = SupervisedLearner.training_step

    def slowly(self: SupervisedLearner, *arguments: Any) -> Any:
        time.sleep(0.1)  # so much longer than all else that a busy machine does not matter
        return step(self, *arguments)

    monkeypatch.setattr(SupervisedLearner, "training_step", slowly)
    options: dict[str, Any] = {"methods": "ce,ce-drw", "epochs": 30, "model": "linear", "seeds": 1}
    result = estimate.estimate(prepare(X, Y, out=tmp_path / "out", **options), 1)
    start = time.perf_counter()
    compare(X, Y, out=tmp_path / "out", jobs=1, **options)
    assert 1 / 1.5 < result["seconds"] / (time.perf_counter() - start) < 1.5


def test_what_is_measured_beside_rows_without_labels_is_refused_no_more_than_the_whole() -> None:
    """Rows of every class, however few it has, and epochs in which every part of the method takes effect."""
    y = np.zeros(3000, dtype=np.int64)
    y[::7], y[[1, 501]] = 1, 2
    x = np.random.default_rng(0).normal(size=(len(y), 2))
    made = prepare(x, y, unlabeled=x[:1000], methods="darp", epochs=30, batch_size=16, model="linear")
    for spec, epochs in (("darp", 3), ("darp(start=0.9)", 10), ("crest(base='mixmatch')", 12), ("fixmatch", 3)):
        one = method(spec)
        short = ShortRun.of(one, made.splits, made.recipe, "cpu", 3, 1)
        assert short.epochs == epochs
        recipe = replace(short.recipe, epochs=short.epochs)
        assert len(short.splits.train) < 140
        assert one.refuses_recipe(recipe, short.splits.train) is None


def test_what_is_measured_does_not_warn_of_its_own_shortness(caplog: pytest.LogCaptureFixture) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(200, 2)), np.repeat((0, 1, 2), (160, 30, 10))
    spec, options = "fixmatch-darp(totals='confusion')", {"epochs": 30, "batch_size": 16, "model": "linear"}
    made = prepare(x, y, unlabeled=x[:50], methods=spec, **options)
    short = ShortRun.of(method(spec), made.splits, made.recipe, "cpu", 3, 1)
    list(Fit(spec, short.splits, recipe=replace(short.recipe, epochs=3)))
    assert "no estimate of the class totals was accepted" in caplog.text
    caplog.clear()
    measure(short)
    assert caplog.text == ""
    assert logging.getLogger("longtail").getEffectiveLevel() <= logging.WARNING
