"""One training and the runs that share it: `Fit`, its folder and its store."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.methods.task_data import splits

from longtail.data import load
from longtail.engine import Recipe
from longtail.runs.train import Fit, train

RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})
SPLITS = splits("supervised", apart=2.0, val=0.2)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("logit-adjusted", "balanced-softmax"),
        ("balanced-softmax", "logit-adjusted(tau=1)"),
        ("ce", "logit-adjusted-posthoc"),
        ("ce", "logit-adjusted-posthoc(tau=2)"),
        ("ce", "ce-threshold"),
        ("logistic", "logistic-posthoc(tau=2)"),
        ("logistic(C=0.1)", "logistic-posthoc(C=0.1)"),
        ("trees", "trees-posthoc"),
        ("trees(max_iter=5)", "trees-posthoc(max_iter=5)"),
    ],
)
def test_one_training_serves_both(tmp_path: Path, first: str, second: str) -> None:
    options = {"recipe": RECIPE, "store": tmp_path / "stages"}
    one = train(first, SPLITS, folder=tmp_path / "one" / "seed-0", **options)
    other = train(second, SPLITS, folder=tmp_path / "other" / "seed-0", **options)
    assert one.result["reuses"] is None
    assert other.result["reuses"] == "one/seed-0"
    assert len(list((tmp_path / "stages").iterdir())) == 1
    assert other.records == one.records
    assert other.predictions()["scores"].equal(one.predictions()["scores"])


def test_one_training_interrupted_while_it_is_copied_leaves_every_record_once(tmp_path: Path) -> None:
    options = {"recipe": RECIPE, "store": tmp_path / "stages"}
    one = train("ce", SPLITS, folder=tmp_path / "one" / "seed-0", **options)
    begun = Fit("ce-threshold", SPLITS, folder=tmp_path / "other" / "seed-0", **options)
    assert [next(begun)["epoch"], next(begun)["epoch"]] == [1, 2]
    del begun
    other = train("ce-threshold", SPLITS, folder=tmp_path / "other" / "seed-0", **options)
    assert other.records == one.records
    assert other.result["reuses"] == "one/seed-0"


class TestFit:
    def test_iterates_over_records_and_keeps_the_learner(self) -> None:
        training = Fit("ldam-drw", SPLITS, recipe=RECIPE)
        with pytest.raises(RuntimeError, match="no epoch has run in this process; iterate"):
            _ = training.learner
        records = list(training)
        assert "scores" not in records[0]
        assert set(records[-1]["scores"]) == {"accuracy", "balanced_accuracy", "macro_f1"}
        assert training.learner.predict(SPLITS.test.inputs).shape == (len(SPLITS.test), 3)
        with pytest.raises(RuntimeError, match="has no folder; iterate to its end with folder="):
            _ = training.run

    def test_evaluates_when_asked(self) -> None:
        training = Fit("ce", SPLITS, recipe=RECIPE, evaluations=RECIPE.epochs)
        assert all(r["scores"]["accuracy"] >= 0 for r in training)

    def test_a_finished_folder_trains_nothing(self, tmp_path: Path) -> None:
        run = train("ce", SPLITS, folder=tmp_path, recipe=RECIPE)
        stamp = (tmp_path / "run.json").stat().st_mtime_ns
        again = Fit("ce", SPLITS, folder=tmp_path, recipe=RECIPE)
        assert list(again) == []
        assert again.run.result == run.result
        assert (tmp_path / "run.json").stat().st_mtime_ns == stamp

    def test_the_callers_thread_count_is_restored(self, tmp_path: Path) -> None:
        before = torch.get_num_threads()
        train("ce", SPLITS, folder=tmp_path, recipe=RECIPE, threads=before + 1)
        assert torch.get_num_threads() == before

    def test_a_missing_validation_part_is_one_line(self) -> None:
        with pytest.raises(ValueError, match=r"'ce-threshold' needs a validation part, got none; add --val 0.2"):
            Fit("ce-threshold", load("digits"))

    def test_the_folder_of_another_configuration_is_refused(self, tmp_path: Path) -> None:
        train("ce", SPLITS, folder=tmp_path, recipe=RECIPE)
        with pytest.raises(ValueError, match="another configuration: seed is 0 there, 1 was asked"):
            train("ce", SPLITS, folder=tmp_path, recipe=RECIPE, seed=1)
