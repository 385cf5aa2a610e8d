"""Sets of a saved model: fitted on its validation part, saved with it, written with predictions, refused in a line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import longtail as lt
from longtail.data import load
from longtail.engine.default_recipe import default_recipe
from longtail.posthoc import ConformalSets
from longtail.runs.predictions import Predictions
from longtail.runs.run import Run
from longtail.runs.train import train

SMALL = {"epochs": 3, "batch_size": 32}
NAMES = np.array(['sound, "dry"', "=worn", "gone"])


def frame(rows: int = 240) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    y = np.searchsorted([0.7, 0.93], np.arange(rows) / rows)
    return pd.DataFrame({"a": draw.normal(size=rows) + y, "b": draw.normal(size=rows), "state": NAMES[y]})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    splits = load(frame(), "state", val=0.25)
    # its scores refer to equal classes, and are not what predict writes
    folder = tmp_path_factory.mktemp("run") / "one"
    return train("logit-adjusted", splits, folder=folder, recipe=default_recipe(splits, **SMALL))


@pytest.fixture(scope="module")
def new() -> pd.DataFrame:
    return frame().drop(columns="state").iloc[::4]


def test_sets_are_fitted_on_the_validation_rows_and_saved(run: Run, new: pd.DataFrame) -> None:
    predictor = lt.load(run.folder)
    val = load_file(run.folder / "validation.safetensors")
    shares = torch.tensor(run.result["training_prior"])
    # to the training prior by hand: the scores refer to equal classes
    by_hand = ConformalSets(3).fit((val["scores"].double() + shares.log()).log_softmax(1), val["targets"])
    logs = (predictor.scores(predictor.prepared(new)).double() + shares.log()).log_softmax(1)
    found = predictor.predictions(new, sets=0.8)
    assert found.sets is not None
    expected = by_hand.sets(logs, 0.8)
    for names, row in zip(found.sets, expected, strict=True):
        assert set(names) == {predictor.classes[j] for j in row.nonzero()[:, 0].tolist()}
    assert 0 < expected.double().mean() < 1
    counts = torch.bincount(val["targets"], minlength=3).tolist()
    assert found.set_summary["classes"] == {
        name: {"n": n, "needs": 4, "promised": n >= 4} for name, n in zip(predictor.classes, counts, strict=True)
    }
    assert found.set_summary["mean_size"] == pytest.approx(float(expected.sum(1).double().mean()))
    assert found.set_summary["empty"] == int((~expected.any(1)).sum())


def test_names_in_a_set_are_ordered_by_probability(run: Run, new: pd.DataFrame) -> None:
    found = run.predictor.predictions(new, sets=0.99)  # too few rows for any class
    assert found.sets is not None
    order = found.probabilities.argsort(dim=1, descending=True).tolist()
    assert [list(names) for names in found.sets] == [[found.classes[j] for j in row] for row in order]
    assert "too few rows to promise 99 % for 3 classes (each needs 99): " in found.notes[-1]


def test_a_set_does_not_depend_on_the_prior_or_a_calibration(run: Run, new: pd.DataFrame) -> None:
    class Flattened(nn.Module):
        name = words = "flattened"

        def forward(self, log_probs: torch.Tensor) -> torch.Tensor:
            return (log_probs / 7).log_softmax(1)

    predictor = lt.load(run.folder)
    plain = predictor.predictions(new, sets=0.8).sets
    shifted = predictor.predictions(new, sets=0.8, target_prior="uniform").sets
    predictor.calibration = Flattened()
    calibrated = predictor.predictions(new, sets=0.8).sets
    assert plain is not None
    for other in (shifted, calibrated):
        assert other is not None
        assert [set(names) for names in other] == [set(names) for names in plain]


def test_csv_has_json_lists_and_parquet_lists(run: Run, new: pd.DataFrame, tmp_path: Path) -> None:
    found = run.predictor.predictions(new, sets=0.8)
    assert found.sets is not None
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert [tuple(json.loads(row["set"])) for row in rows] == list(found.sets)
    assert any('"sound, \\"dry\\""' in row["set"] for row in rows)
    found.write(tmp_path / "out.parquet")
    assert [tuple(names) for names in pd.read_parquet(tmp_path / "out.parquet")["set"]] == list(found.sets)
    assert "set" not in run.predictor.predictions(new).columns


def test_a_skipped_row_has_no_set() -> None:
    found = Predictions(
        ("b",), torch.tensor([[0.4, 0.6]]), ("a", "b"), "rule", "prior", skipped={0: "cut off"}, sets=((),)
    )
    assert found.columns["set"] == [None, []]
    assert [row["set"] for row in csv.DictReader(io.StringIO(found.csv()))] == ["", "[]"]


def test_a_model_without_rows_left_aside_is_refused(tmp_path: Path, new: pd.DataFrame) -> None:
    splits = load(frame(), "state")
    plain = train("ce", splits, folder=tmp_path / "plain", recipe=default_recipe(splits, **SMALL))
    with pytest.raises(ValueError, match=r"sets needs rows that the training left aside, .* none; .* \(--val 0\.2"):
        plain.predictor.predictions(new, sets=0.9)


def test_validation_rows_that_chose_the_training_promise_nothing(tmp_path: Path) -> None:
    splits = load(frame(), "state", val=0.25)
    recipe = default_recipe(splits, epochs=1, batch_size=64, model="linear")
    tuned = train("tuned(base='ce', trials=2)", splits, folder=tmp_path / "tuned", recipe=recipe)
    assert (tuned.folder / "validation.safetensors").exists()
    assert tuned.predictor.sets is None


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (1, "sets must be > 0 and < 1, got 1; only the set of all classes is right for certain; choose a share"),
        (0.0, r"sets must be > 0 and < 1, got 0\.0; choose a share such as 0\.9"),
        (90, "sets must be > 0 and < 1, got 90"),
        ("much", "sets must be a number, got 'much'"),
    ],
)
def test_another_level_is_refused(run: Run, new: pd.DataFrame, level: object, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        run.predictor.predictions(new, sets=level)
