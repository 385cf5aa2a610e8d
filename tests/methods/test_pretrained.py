"""SSP: rotation first, then any method from all layers but the classifier."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from tests.methods import task_data

import longtail as lt
from longtail.data import Examples, TrainingSet, load
from longtail.data.label_kinds import unlabeled
from longtail.data.turned import Turned
from longtail.engine import Built, Recipe, Training
from longtail.methods import method, methods

RECIPE = Recipe(epochs=4, batch_size=16, model="convnet", model_args={"width": 4})
TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor([30, 14, 6]))


def data(*shape: int) -> TrainingSet:
    inputs = torch.randn(len(TARGETS), *shape, generator=torch.Generator().manual_seed(0)) + TARGETS[:, None, None]
    return TrainingSet(Examples(inputs, TARGETS, ("a", "b", "c")))


SQUARE = data(8, 8)


def pretrained(spec: str, rows: TrainingSet = SQUARE) -> tuple[Any, Built]:
    """The learner of the first stage, trained, and what the second builds from it."""
    first, second, *_ = method(spec).stages(RECIPE)
    training = Training([first], rows)
    list(training)
    return training.learner, second.build(rows, training.learner)


@cases("base", ["ce", "ldam-drw", "absgd", "mixup", "cb-rs"])
def test_the_base_starts_from_all_layers_but_the_classifier(base: str) -> None:
    encoder, built = pretrained(f"ssp(base={base!r})")
    learner: Any = built.learner
    state = learner.network.state_dict()
    trained = {name: t for name, t in encoder.network.state_dict().items() if not name.startswith("head.")}
    assert {name.partition(".")[0] for name in trained} == {"standardize", "body"}
    assert any("running_mean" in name for name in trained)
    for name, value in trained.items():
        assert state[name].equal(value), name
        assert state[name].data_ptr() != value.data_ptr()
    assert encoder.network.head.out_features == 4
    assert learner.network.head.out_features == 3
    (plain,) = method(base).stages(RECIPE)
    expected = plain.build(SQUARE, None)
    other: Any = expected.learner
    assert type(learner.loss) is type(other.loss)
    assert type(learner.weights) is type(other.weights)
    assert type(learner.mixing) is type(other.mixing)
    assert type(built.data.draw) is type(expected.data.draw)  # type: ignore[attr-defined]


def test_its_first_loss_is_the_mean_cross_entropy_of_the_turns() -> None:
    built = method("ssp").stages(RECIPE)[0].build(SQUARE, None)
    learner: Any = built.learner
    learner.double().eval()
    batch = next(iter(built.data.batches(0.0, torch.Generator().manual_seed(0))))
    assert "targets" not in batch
    batch["inputs"] = batch["inputs"].double()  # type: ignore[union-attr]
    expected = 0.0
    for z, k in zip(learner.network(batch["inputs"]).logits.tolist(), batch["turns"].tolist(), strict=True):
        expected += (math.log(sum(map(math.exp, z))) - z[k]) / len(batch["index"])
    assert learner.training_step(batch, 0.0).loss.item() == pytest.approx(expected, rel=1e-12)


@cases(("spec", "names", "epochs"), [
    ("ssp", ["rotation", "train"], [100, 100]),
    ("ssp(pretraining=0.25)", ["rotation", "train"], [25, 100]),
    ("ssp(pretraining=0.001)", ["rotation", "train"], [1, 100]),
    ("ssp(base='crt')", ["rotation", "train", "classifier"], [100, 100, 15]),
    ("crt(base='ssp')", ["rotation", "train", "classifier"], [100, 100, 15]),
])  # fmt: skip
def test_both_have_the_full_recipe(spec: str, names: list[str], epochs: list[int]) -> None:
    recipe = Recipe(epochs=100)
    stages = method(spec).stages(recipe)
    assert [stage.name for stage in stages] == names
    assert [stage.epochs for stage in stages] == epochs
    for stage in stages:
        assert stage.lr(0.0) == replace(recipe, epochs=stage.epochs).learning_rate(0.0)


def test_one_pre_training_serves_every_base() -> None:
    specs = ["ssp", "ssp(base='ldam-drw')", "ssp(base='crt')", "sam(base='ssp')", "ssp(pretraining=0.5)"]
    texts = [[stage.spec for stage in method(spec).stages(RECIPE)] for spec in specs]
    assert len({first for first, *_ in texts[:3]}) == 1
    assert len({first for first, *_ in texts[2:]}) == 3
    assert len({tuple(rest) for _, *rest in texts}) == len(specs)
    assert method("ssp(base='ldam-drw')").twin == "ldam-drw"


def test_images_that_are_not_square_are_turned_by_half() -> None:
    encoder, built = pretrained("ssp", data(8, 10))
    assert encoder.network.head.out_features == 2
    assert built.learner.network.head.out_features == 3  # type: ignore[attr-defined,union-attr]


def test_rows_without_labels_take_part_in_the_first_training_alone() -> None:
    rest = torch.randn(40, 8, 8, generator=torch.Generator().manual_seed(1))
    rows = replace(SQUARE, unlabeled=Examples(rest, unlabeled(40), SQUARE.classes))
    stages = method("ssp").stages(RECIPE)
    first = stages[0].build(rows, None)
    assert isinstance(first.data, Turned)
    assert len(first.data) == 90
    assert len(stages[1].build(rows, first.learner).data) == 50


def test_the_angle_of_digits_is_learnt() -> None:
    digits = load("digits")
    training = Training(method("ssp").stages(replace(RECIPE, epochs=8))[:1], TrainingSet.of(digits))
    losses = [record["loss"] for record in training]
    assert losses[-1] < 0.6 * math.log(4)


class TestWhatHasNoAngle:
    def test_features_are_refused_before_training(self, tmp_path: Path) -> None:
        splits = task_data.splits("supervised")
        expected = (
            "method 'ssp' needs images, which it turns, got rows of 4 numbers; leave it out, or train its base alone"
        )
        assert method("ssp").refuses(splits.train) == expected
        with pytest.raises(ValueError, match="needs images, which it turns, got rows of 4 numbers"):
            lt.compare(splits, methods="ce,crt(base='ssp')", out=tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_table_leaves_it_out_of_the_preset(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            chosen = methods("all", data=task_data.splits("supervised").train, task="supervised")
        assert "ssp" not in [one.key for one in chosen]
        assert "method 'ssp' needs images" in caplog.text

    def test_what_the_base_refuses_is_refused(self) -> None:
        found = method("ssp(base='ldam(test_prior=(0.7, 0.3))')")
        why = found.refuses(SQUARE.labeled)
        assert why is not None
        assert "test_prior" in why


@cases(
    ("spec", "message"),
    [
        ("ssp(base='ride')", "which has no start to take up"),
        ("ssp(base='ssp')", "which starts from the network of another training already"),
        ("absgd(base='ssp')", "which has no weights to take up"),
        ("ssp(base='logit-adjusted-posthoc')", "which only corrects the scores of another training"),
        ("ssp(pretraining=0.0)", "pretraining must be > 0"),
        ("ssp(base='fixmatch')", "which is semi-supervised"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(spec)


def test_the_standardisation_is_that_of_the_pre_training() -> None:
    encoder, built = pretrained("ssp")
    x = torch.from_numpy(np.ones((1, 8, 8), np.float32))
    network: Any = built.learner.network
    assert network.standardize(x).equal(encoder.network.standardize(x))
