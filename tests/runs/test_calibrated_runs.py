"""A model that is calibrated with its training, saved, and asked for the class prior of new rows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases

import longtail as lt
from longtail import posthoc
from longtail.data.load import load
from longtail.engine import Recipe
from longtail.runs.run import Run
from longtail.runs.scored import ScoredRun, of_run
from longtail.runs.train import train

RECIPE = Recipe(epochs=2, batch_size=16, model="linear")
MEANS = 2.5 * np.eye(3, 4)


def drawn(shares: list[float], n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=shares)
    return torch.tensor(rng.normal(size=(n, 4)) + MEANS[y], dtype=torch.float32), torch.tensor(y)


def trained(folder: Path, **options: Any) -> Run:
    splits = load(*drawn([0.6, 0.3, 0.1], 500, 0), test=0.2, val=0.4)
    return train("logit-adjusted", splits, folder=folder, recipe=RECIPE, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("calibrated") / "run", calibrate="vector")


@pytest.fixture(scope="module")
def arrays(run: Run) -> ScoredRun:
    return of_run(run)


def test_the_calibration_is_fitted_on_the_validation_part_under_the_training_prior(run: Run, arrays: ScoredRun) -> None:
    val = arrays.val
    assert val is not None
    by_hand = posthoc.VectorScaling(3).fit(val.log_probs, val.targets, prior=arrays.training_prior)
    model = lt.load(run.folder)
    assert model.calibration.words == by_hand.words == run.result["calibration"]["words"]
    scores = run.predictions()["scores"]
    expected = np.exp(by_hand(arrays.test.log_probs))  # the scores of a run are those before it
    assert np.abs(expected - np.exp(arrays.test.log_probs)).max() > 0.02
    np.testing.assert_allclose(model.probabilities(scores).numpy(), expected, atol=1e-9)
    there = posthoc.correct_prior(expected, arrays.training_prior, [0.2, 0.2, 0.6])
    np.testing.assert_allclose(model.probabilities(scores, [0.2, 0.2, 0.6]).numpy(), there, atol=1e-9)
    np.testing.assert_allclose(model.probabilities(scores, raw=True).numpy(), torch.softmax(scores.double(), 1))
    said = model.predictions(drawn([0.6, 0.3, 0.1], 5, 1)[0])
    assert said.prior == f"training; {model.calibration.words}"
    assert said.rule == "highest probability with every class equally likely, before the calibration"


def test_the_prior_of_new_rows_is_estimated_with_the_validation_rows(run: Run, arrays: ScoredRun) -> None:
    model, (x, _) = lt.load(run.folder), drawn([0.1, 0.2, 0.7], 150, 3)
    said = model.predictions(x, target_prior="estimate")
    val, found = arrays.val, said.estimated
    assert val is not None
    assert found is not None
    by_hand = posthoc.estimate_prior_interval(
        model.uncalibrated(model.scores(x)), arrays.training_prior, validation=(val.log_probs, val.targets),
        calibrate="vector",
    )  # fmt: skip
    for ours, theirs in zip((found.prior, found.low, found.high), by_hand[:3], strict=True):
        torch.testing.assert_close(ours, theirs)
    assert found.validation_rows == len(val.targets)
    torch.testing.assert_close(said.probabilities, model.probabilities(model.scores(x), found.prior))
    assert bool((found.low[2] > 0.5) & (found.high[0] < 0.4))
    assert said.prior.startswith("estimated from these rows; vector scaling")
    assert said.rule == "highest probability under the target prior (estimated from these rows)"
    assert not said.notes
    entry = found.to_json()["classes"]["2"]
    assert entry == {
        "share": float(found.prior[2]), "low": float(found.low[2]), "high": float(found.high[2]),
        "training": float(arrays.training_prior[2]),
    }  # fmt: skip


def test_what_the_estimate_lacks_is_said(run: Run, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("meta.json", "model.safetensors"):
        shutil.copy(run.folder / name, alone)
    for path in run.folder.glob("prep*"):
        shutil.copy(path, alone)
    model = lt.load(alone)
    x, _ = drawn([0.1, 0.2, 0.7], 30, 3)
    notes = " | ".join(model.predictions(x, target_prior="estimate").notes)
    assert "no validation rows beside the model" in notes
    assert "estimated from 30 rows; its intervals are wide" in notes
    assert "not calibrated" not in notes
    model.calibration = None
    assert "not calibrated" in " | ".join(model.predictions(x, target_prior="estimate").notes)
    path = shutil.copytree(run.folder, tmp_path / "changed") / "validation.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match=r"validation.safetensors was changed since the run was finished"):
        lt.load(path.parent).predictions(x, target_prior="estimate")


def test_another_calibration_is_another_run(run: Run) -> None:
    assert trained(run.folder, calibrate="vector").result == run.result
    with pytest.raises(ValueError, match="holds another configuration: calibrate is 'vector' there, None was asked"):
        trained(run.folder)


@cases(
    ("options", "line"),
    [
        ({"calibrate": "platt"}, r"calibrate \(--calibrate\) must be one of temperature, vector, isotonic, auto, got"),
        ({"calibrate": "auto", "val": None}, r"calibrate \(--calibrate\) needs rows .* validation part; add --val 0.2"),
        ({"calibrate": "auto", "folder": None}, "is of the model in a run folder, got no folder; pass folder="),
        (
            {"calibrate": "auto", "method": "simclr"},
            "is of probabilities, and 'simclr' trains an encoder; leave it out",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_refused_before_training(options: dict[str, Any], line: str) -> None:
    given = {"method": "ce", "val": 0.4, "folder": "never-written", **options}
    with pytest.raises(ValueError, match=line):
        lt.fit(given.pop("method"), *drawn([0.6, 0.3, 0.1], 100, 0), test=0.2, **given)
    assert not Path("never-written").exists()


def test_an_estimate_without_rows_is_refused(run: Run) -> None:
    model = lt.load(run.folder)
    with pytest.raises(ValueError, match=r"estimate is of rows, got none; use predictions\(data, target_prior="):
        model.probabilities(torch.zeros(2, 3), "estimate")
    model.class_counts[2] = 0
    with pytest.raises(
        ValueError, match="estimate needs training rows of every class, got none of '2'; give the shares"
    ):
        model.predictions(drawn([0.6, 0.3, 0.1], 5, 1)[0], target_prior="estimate")
