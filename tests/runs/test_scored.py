"""A run as arrays: what its files say, under the training prior, of test and validation rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from longtail.data.load import load
from longtail.engine import Recipe
from longtail.runs.run import Run
from longtail.runs.scored import ScoredRun, of_run, scored
from longtail.runs.train import train

RECIPE = Recipe(epochs=2, batch_size=16, model="linear")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    x = torch.randn(100, 4, generator=generator) + y[:, None]
    splits = load(x, y, test=0.3, val=0.2)
    # its scores refer to equal classes, and are not what predict writes
    return train("logit-adjusted", splits, folder=tmp_path_factory.mktemp("run") / "one", recipe=RECIPE)


@pytest.fixture(scope="module")
def arrays(run: Run) -> ScoredRun:
    return of_run(run)


def test_the_priors_of_the_scores_and_of_the_training_are_in_run_json(run: Run) -> None:
    counts = run.config["data"]["class_counts"]
    assert run.result["prior"] == pytest.approx([1 / 3] * 3)
    assert run.result["training_prior"] == pytest.approx([n / sum(counts) for n in counts])


def test_probabilities_are_those_under_the_training_prior(run: Run, arrays: ScoredRun) -> None:
    scores, counts = run.predictions()["scores"].tolist(), run.config["data"]["class_counts"]
    for row, logs in zip(scores, arrays.test.log_probs, strict=True):
        weighed = [math.exp(z) * n for z, n in zip(row, counts, strict=True)]  # from equal classes to the training's
        assert np.exp(logs) == pytest.approx([w / sum(weighed) for w in weighed])
    assert torch.allclose(
        run.predictor.probabilities(run.predictions()["scores"]), torch.exp(torch.tensor(arrays.test.log_probs))
    )


def test_the_method_decides_by_its_own_scores(run: Run, arrays: ScoredRun) -> None:
    assert arrays.test.decided.tolist() == run.predictions()["scores"].argmax(1).tolist()
    assert run.scores["accuracy"] == pytest.approx((arrays.test.decided == arrays.test.targets).mean())


def test_the_scores_of_validation_rows_are_those_of_the_saved_model(run: Run, arrays: ScoredRun) -> None:
    assert arrays.val is not None
    assert arrays.val.log_probs.shape == (len(arrays.val.targets), 3)
    assert "validation.safetensors" in run.result["files"]


def test_a_run_without_validation_rows_has_no_such_file(tmp_path: Path) -> None:
    splits = load(torch.randn(40, 2), torch.arange(40) % 2, test=0.5)
    one = train("ce", splits, folder=tmp_path / "run", recipe=RECIPE)
    assert not (one.folder / "validation.safetensors").exists()
    assert scored(one.folder).val is None


def test_a_changed_validation_file_is_noticed(run: Run, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(run.folder, tmp_path / "copy"))
    data = bytearray((copy / "validation.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "validation.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=r"validation\.safetensors was changed"):
        scored(copy)
