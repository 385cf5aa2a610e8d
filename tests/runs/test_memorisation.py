"""Wrong labels that a trained model repeats: counted row by row, on runs whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from longtail.data import Splits
from longtail.data.load import load
from longtail.engine import Recipe
from longtail.runs import fit
from longtail.runs.memorisation import memorisation, summed
from longtail.runs.predictor import Predictor


class Says(nn.Module):
    """A network whose first feature is the class that it predicts, of four."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(x[:, 0].long(), 4).float()


def data(said: list[int], given: list[int], truth: list[int] | None) -> Splits:
    x = torch.tensor(said, dtype=torch.float32).reshape(-1, 1).repeat(1, 2)
    splits = load(torch.randn(40, 2), torch.arange(40) % 4, test=0.5)
    train = replace(splits.train, inputs=x, targets=torch.tensor(given))
    return replace(splits, train=train, truth=None if truth is None else torch.tensor(truth))


def predictor(splits: Splits, posthoc: Any = None) -> Predictor:
    return Predictor(Says(), splits.classes, torch.ones(4), posthoc=posthoc)


TRUTH = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
GIVEN = [0, 1, 2, 0, 1, 0, 0, 2, 0, 3]
SAID = [0, 1, 0, 3, 1, 0, 2, 2, 0, 0]
#         ^ ^           ^ ^     ^        the wrong ones: fitted, recovered; fitted, neither; fitted


def test_counts_by_hand() -> None:
    splits = data(SAID, GIVEN, TRUTH)
    assert memorisation(predictor(splits), splits) == {
        "memorisation": {
            "rows": [4, 3, 2, 1],
            "wrong": [2, 2, 1, 0],
            "fitted": [1, 1, 1, 0],
            "recovered": [1, 0, 0, 0],
            "given": [5, 2, 2, 1],
            "given_wrong": [3, 1, 1, 0],
        }
    }


def test_what_the_post_hoc_rule_decides_is_counted() -> None:
    splits = data(SAID, GIVEN, TRUTH)

    class Turned(nn.Module):
        def forward(self, scores: Tensor) -> Tensor:
            return -scores[:, [0, 1, 2, 3]] - torch.tensor([0.0, 9.0, 9.0, 9.0])  # always class 0

    found = memorisation(predictor(splits, Turned()), splits)["memorisation"]
    assert found["fitted"] == [0, 2, 1, 0]
    assert found["recovered"] == [2, 0, 0, 0]


@pytest.mark.parametrize("truth", [None, GIVEN])
def test_there_is_nothing_where_no_label_is_known_to_be_wrong(truth: list[int] | None) -> None:
    splits = data(SAID, GIVEN, truth)
    assert memorisation(predictor(splits), splits) == {}


def test_folds_are_summed() -> None:
    one = {"memorisation": {"wrong": [1, 2], "fitted": [0, 1]}}
    two = {"memorisation": {"wrong": [3, 0], "fitted": [2, 0]}}
    assert summed([one, two]) == {"memorisation": {"wrong": [4, 2], "fitted": [2, 1]}}
    assert summed([{}, {}]) == {}


SHORT = Recipe(epochs=15, lr=0.05, batch_size=32, warmup=0, model="mlp", model_args={"hidden": (64,)})


def noisy_digits() -> Splits:
    splits = load("digits", ratio=20)
    wrong = torch.zeros(len(splits.train), dtype=torch.bool)
    wrong[::4] = True
    targets = torch.where(wrong, (splits.train.targets + 1) % 10, splits.train.targets)
    return replace(splits, train=replace(splits.train, targets=targets), truth=splits.train.targets)


def test_a_run_says_what_its_own_model_repeats(tmp_path: Path) -> None:
    splits = noisy_digits()
    training = fit("ce", splits, folder=tmp_path / "ce", recipe=replace(SHORT, epochs=30, weight_decay=0))
    list(training)
    assert splits.truth is not None
    found = training.run.result["memorisation"]
    predicted = training.run.predictor.scores(splits.train.inputs).argmax(1)
    wrong = splits.train.targets != splits.truth
    for name, right in {"fitted": splits.train.targets, "recovered": splits.truth}.items():
        assert sum(found[name]) == int((wrong & (predicted == right)).sum()), name
    assert sum(found["wrong"]) == int(wrong.sum())
    assert sum(found["fitted"]) > 0.9 * sum(found["wrong"])  # a network without regularisation fits all of digits


def test_the_oracle_is_measured_against_the_labels_that_it_did_not_see(tmp_path: Path) -> None:
    training = fit("oracle", noisy_digits(), folder=tmp_path / "oracle", recipe=SHORT)
    list(training)
    found = training.run.result["memorisation"]
    assert sum(found["wrong"]) > 0
    assert sum(found["recovered"]) > 0.95 * sum(found["wrong"])
