"""Classifiers of the user's in a comparison: decisions, resuming, what is recorded and what is not saved."""

from __future__ import annotations

import json
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import Perceptron
from sklearn.naive_bayes import GaussianNB

import longtail as lt
from longtail.comparison import execute
from longtail.comparison.estimate import estimate
from longtail.comparison.plan import plan
from longtail.comparison.preparation import prepare
from longtail.data import load
from longtail.posthoc.decisions import read_cost
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

pytest.importorskip("skops.io")


class Shares(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """No type that the loader trusts: distances to the class means, drawn out of place by the seed."""

    def __init__(self, width: float = 1.0, random_state: int | None = None) -> None:
        self.width, self.random_state = width, random_state

    fits = 0

    def fit(self, x: Any, y: Any) -> Shares:
        type(self).fits += 1
        self.classes_, at = np.unique(y, return_inverse=True)
        noise = np.random.default_rng(self.random_state).normal(size=(len(self.classes_), x.shape[1]))
        self.means_ = np.stack([x[at == k].mean(0) for k in range(len(self.classes_))]) + noise * self.width
        return self

    def predict_proba(self, x: Any) -> Any:
        logs = -((x[:, None] - self.means_) ** 2).sum(2)
        probs = np.exp(logs - logs.max(1, keepdims=True))
        return probs / probs.sum(1, keepdims=True)


def data() -> tuple[Any, Any]:
    g = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 30, 10])
    return g.normal(size=(100, 3)) + y[:, None], y


OPTIONS: dict[str, Any] = {"epochs": 1, "jobs": 1, "val": 0.2, "seeds": 1}
GIVEN = ("mine", Shares())


def compare(out: Path, *given: Any, **options: Any) -> lt.Comparison:
    result: lt.Comparison = lt.compare(*data(), methods=list(given), out=out, **{**OPTIONS, **options})
    return result


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("given") / "run"
    compare(out, GIVEN, ("nb", GaussianNB()))
    return out


def predictions(out: Path) -> dict[str, bytes]:
    return {f"{p.parent.parent.name}/{p.name}": p.read_bytes() for p in out.glob("*/seed-*/*.safetensors")}


def run_of(out: Path, key: str) -> Run:
    return next(
        run for run in map(Run.load, out.glob(f"{key}-*/seed-0")) if run.config["method"].partition("(")[0] == key
    )


class TestFolder:
    def test_what_is_recorded(self, finished: Path) -> None:
        import sklearn

        config = json.loads((finished / "config.json").read_text())
        assert config["classifiers"]["mine"].endswith(".Shares(random_state=None, width=1.0)")
        run = run_of(finished, "nb-posthoc")
        assert run.config["classifier"]["class"] == "sklearn.naive_bayes.GaussianNB"
        assert run.config["classifier"]["var_smoothing"] == "1e-09"
        assert run.config["versions"]["scikit-learn"] == sklearn.__version__
        summary = json.loads((finished / "comparison.json").read_text())
        keys = {row["method"]: row["paper"] for row in summary["rows"]}
        assert keys.keys() == {"ce", *(f"{n}{e}" for n in ("mine", "nb") for e in ("", "-posthoc", "-threshold"))}
        assert keys["mine"] == "own classifier"
        assert "runs trained with other versions" not in summary["versions"]
        text = (finished / "comparison.md").read_text()
        assert text.count("mine: its models are not saved") == 1
        assert "| mine-threshold" in text

    def test_what_the_loader_trusts_is_saved_and_what_it_does_not_is_said(self, finished: Path) -> None:
        x, _ = data()
        assert len(lt.load(run_of(finished, "nb-posthoc").folder).predict(x)) == 100
        run = run_of(finished, "mine")
        assert "Shares" in run.result["model"]
        assert not (run.folder / "model.safetensors").exists()
        assert (run.folder / "validation.safetensors").exists()
        with pytest.raises(
            ValueError, match=r"holds no finished model .*it was not saved: .*Shares.*its scores are there"
        ):
            lt.load(run.folder)

    def test_finished_runs_are_sound_and_nothing_is_fitted_again(
        self, finished: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = predictions(finished)
        assert "mine-posthoc" in " ".join(before)
        done = {path: path.stat().st_mtime_ns for path in finished.glob("*/seed-0/run.json")}
        compare(finished, GIVEN, ("nb", GaussianNB()))
        assert {path: path.stat().st_mtime_ns for path in done} == done
        assert not [r for r in caplog.records if "again" in r.getMessage()]

    def test_an_interrupted_run_ends_in_the_same_bytes(self, finished: Path, tmp_path: Path) -> None:
        compare(tmp_path / "again", GIVEN, ("nb", GaussianNB()))
        for key in ("mine", "mine-threshold"):
            (run_of(tmp_path / "again", key).folder / "run.json").unlink()  # with its checkpoint of a finished epoch
        compare(tmp_path / "again", GIVEN, ("nb", GaussianNB()))
        assert predictions(tmp_path / "again") == predictions(finished)

    def test_another_classifier_under_the_name_is_refused_and_so_is_none(self, finished: Path) -> None:
        with pytest.raises(ValueError, match=r"classifier.width is '1.0' there, '2.0' was asked"):
            compare(finished, ("mine", Shares(2.0)), ("nb", GaussianNB()))
        with pytest.raises(ValueError, match=r"has rows of mine, a classifier .* give it again under that name"):
            compare(finished, ("nb", GaussianNB()))

    def test_rows_that_decide_by_costs_are_judged_again_without_a_fit(self, finished: Path) -> None:
        Shares.fits = 0
        given = (GIVEN, ("nb", GaussianNB()))
        for options in ({"target_prior": "uniform"}, {"objective": "macro_f1"}):
            rows = {row["method"]: row for row in compare(finished, *given, **options).rows}
            assert rows["mine"]["runs"]
        assert Shares.fits <= 2  # trials on some rows
        result = compare(finished, *given, cost="missed=20,false=1")
        run = run_of(finished, "mine").predictions()
        cost = np.asarray(read_cost("missed=20,false=1", ["0", "1", "2"], 2))
        decided = (np.exp(run["scores"].double().numpy()) @ cost).argmin(1)
        truth = run["targets"].numpy()
        recall = [float((decided[truth == k] == k).mean()) for k in range(3)]
        row = next(row for row in result.rows if row["method"] == "mine")
        assert row["recall"] == pytest.approx(recall)

    def test_a_row_is_aimed_at_the_metric(self, tmp_path: Path) -> None:
        rows = compare(tmp_path, ("nb", GaussianNB()), metric="macro_f1").rows
        assert "nb-threshold(objective='macro_f1')" in {row["method"] for row in rows}


class TestAlone:
    def test_a_training_that_was_stopped_is_resumed_to_the_same_bytes(self, tmp_path: Path) -> None:
        splits = load(*data(), val=0.2)
        whole = train(("mine-threshold", Shares()), splits, folder=tmp_path / "whole")
        fit = Fit(("mine-threshold", Shares()), splits, folder=tmp_path / "cut")
        next(fit)
        fit.close()
        Shares.fits = 0
        resumed = train(("mine-threshold", Shares()), splits, folder=tmp_path / "cut")
        assert Shares.fits == 2  # a trial on some rows, and the fit of the same seed
        for name in ("predictions.safetensors", "validation.safetensors"):
            assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes()

    def test_a_reused_stage_is_fitted_to_the_same_numbers(self, tmp_path: Path) -> None:
        splits = load(*data(), val=0.2)
        first = train(("mine", Shares()), splits, folder=tmp_path / "1", store=tmp_path / "stages")
        then = train(("mine-posthoc", Shares()), splits, folder=tmp_path / "2", store=tmp_path / "stages")
        assert then.result["reuses"] is not None
        np.testing.assert_array_equal(first.predictions()["scores"], then.predictions()["scores"])
        assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"\x80\x04\x95" in p.read_bytes()]  # no pickle

    def test_what_needs_a_saved_model_is_refused_before_a_fit(self, tmp_path: Path) -> None:
        splits = load(*data(), val=0.2)
        with pytest.raises(ValueError, match=r"calibrate .* is for a model that is saved, which 'mine' cannot be"):
            Fit(("mine", Shares()), splits, folder=tmp_path, calibrate="temperature")
        with pytest.raises(ValueError, match=r"every row .* is for a model that is saved, which 'mine' cannot be"):
            lt.fit(("mine", Shares()), *data(), every_row=True, folder=tmp_path)
        assert lt.fit(("nb", GaussianNB()), *data(), every_row=True).method.spec == "nb"

    def test_a_baseline_may_be_one(self, tmp_path: Path) -> None:
        result = compare(tmp_path, "ce", ("nb", GaussianNB()), baseline="nb")
        assert result.summary["reference"] == "nb"
        assert compare(tmp_path / "2", "ce", baseline=("nb", GaussianNB())).summary["reference"] == "nb"

    def test_a_plan_measures_it(self, tmp_path: Path) -> None:
        planned = estimate(
            prepare(*data(), methods=[GIVEN], out=tmp_path, **{k: OPTIONS[k] for k in ("epochs", "seeds")}), 1
        )
        assert {"mine", "mine-posthoc"} <= set(str(planned).replace("'", " ").split())

    def test_tuning_every_method_is_refused_and_so_is_a_classifier_without_probabilities(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="tune searches the knobs of longtail's methods, got the classifier nb"):
            compare(tmp_path, ("nb", GaussianNB()), tune=2)
        with pytest.raises(ValueError, match="must have predict_proba, got Perceptron"):
            compare(tmp_path, Perceptron())
        assert not list(tmp_path.iterdir())


def test_a_class_that_no_module_has_reaches_worker_processes(tmp_path: Path) -> None:
    class Local(Shares):
        pass

    Local.__module__, Local.__qualname__ = "__main__", "Local"
    from joblib.externals.loky.backend import reduction

    planned = plan(prepare(*data(), methods=[("mine", Local())], out=tmp_path, epochs=1, seeds=1))
    assert execute._unpicklable(planned) is None
    task = next(task for task in planned.tasks if task.spec == "mine-posthoc")
    sent = pickle.loads(bytes(reduction.dumps(([task], planned.splits, planned.recipe, tmp_path / "stages"))))
    assert [one.error for one in execute.run_tasks(*sent)] == [None]
    here = train(("mine-posthoc", Local()), planned.splits, folder=tmp_path / "here", recipe=planned.recipe)
    np.testing.assert_array_equal(Run.load(task.folder).predictions()["scores"], here.predictions()["scores"])


def test_a_classifier_that_cannot_be_sent_is_named(tmp_path: Path) -> None:
    class Local(Shares):
        lock = threading.Lock()

    Local.__module__, Local.__qualname__ = "__main__", "Local"
    planned = plan(prepare(*data(), methods=[("mine", Local())], out=tmp_path, epochs=1, seeds=1))
    assert "classifier mine cannot be pickled for worker processes" in str(execute._unpicklable(planned))
