"""cc and proden: what they are with one candidate a row, and that they act where there are more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tests.methods import task_data

from longtail.data import Splits, TrainingSet
from longtail.engine import Built, Recipe, Stage, Training
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.methods import method
from longtail.runs.train import train

ALL = ["cc", "rc", "lw", "cavl", "proden"]
RECIPE = Recipe(epochs=4, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,), "dropout": 0.1})
PLAIN, SETS = task_data.splits("supervised"), task_data.splits("partial")


def scores(spec: str, data: Splits, folder: Path) -> torch.Tensor:
    return train(spec, data, folder=folder, recipe=RECIPE).predictions()["scores"]


def of_one_candidate() -> Splits:
    single = F.one_hot(PLAIN.train.targets, len(PLAIN.classes)).bool()
    return replace(PLAIN, train=replace(PLAIN.train, targets=single))


@pytest.mark.parametrize("spec", ["cc", "proden", "proden(start=1)", "cavl(second_pass=False)"])
def test_with_one_candidate_a_row_it_is_ce_bit_for_bit(tmp_path: Path, spec: str) -> None:
    plain = scores("ce", PLAIN, tmp_path / "ce")
    assert scores(spec, of_one_candidate(), tmp_path / "single").equal(plain)
    assert not scores(spec, SETS, tmp_path / "sets").equal(plain)


def test_proden_without_updates_teaches_the_average_of_the_candidates(tmp_path: Path) -> None:
    q = SETS.train.targets.float() / SETS.train.targets.sum(1, keepdim=True)

    class Average(torch.nn.Module):
        def forward(self, batch: object, outputs: object, progress: object) -> object:
            return q[batch["index"]], None  # type: ignore[index]

        def observe(self, *_: object) -> None: ...

        def refresh(self, *_: object) -> None: ...

    def build(data: TrainingSet, previous: object) -> Built:
        learner = SupervisedLearner(RECIPE.network(data.labeled), CrossEntropyLoss(), targets=Average())
        return Built(learner, data.labeled.drawn(RECIPE.batch_size))

    stage = Stage("train", "by hand", build, RECIPE.epochs, RECIPE.make_optimizer, RECIPE.learning_rate)
    training = Training([stage], TrainingSet.of(SETS))
    list(training)
    never = scores("proden(start=1)", SETS, tmp_path / "never")
    assert training.learner.eval().predict(SETS.test.inputs).equal(never)
    always, late = (scores(spec, SETS, tmp_path / spec) for spec in ("proden", "proden(start=0.5)"))
    assert not always.equal(never)
    assert not late.equal(never)
    assert not late.equal(always)


def test_confidences_find_most_true_classes() -> None:
    training = Training(method("proden").stages(replace(RECIPE, epochs=20)), TrainingSet.of(SETS))
    list(training)
    q, truth = training.learner.state_dict()["targets.confidence"], PLAIN.train.targets
    several = SETS.train.targets.sum(1) > 1
    assert float((q.argmax(1) == truth)[several].float().mean()) > 0.7
    assert not (q[~SETS.train.targets] > 0).any()
    torch.testing.assert_close(q.sum(1), torch.ones(len(q)))


@pytest.mark.parametrize("spec", ["rc", "cavl"])
def test_a_second_pass_teaches_the_same_single_candidates(tmp_path: Path, spec: str) -> None:
    calm = replace(RECIPE, model_args={"hidden": (8,)})  # dropout draws for the second pass, too
    plain = train("ce", PLAIN, folder=tmp_path / "ce", recipe=calm).predictions()["scores"]
    single = train(spec, of_one_candidate(), folder=tmp_path / spec, recipe=calm).predictions()["scores"]
    assert single.equal(plain)


def test_without_updates_rc_and_cavl_are_proden_and_with_them_no_two_methods_are_alike(tmp_path: Path) -> None:
    calm = replace(RECIPE, model_args={"hidden": (8,)})

    def of(spec: str) -> torch.Tensor:
        return train(spec, SETS, folder=tmp_path / spec, recipe=calm).predictions()["scores"]

    never = of("proden(start=1)")
    assert of("rc(start=1)").equal(never)
    assert of("cavl(start=1)").equal(never)
    different = [*ALL, "lw(form='cross-entropy')", "lw(beta=0)", "lw(second_pass=False)", "cavl(second_pass=False)"]
    different += ["corr", "corr(mixup=1)", "corr(consistency=0)", "corr(start=0.5)", "corr(start=1)"]
    found = [never, *map(of, different)]
    assert not any(one.equal(other) for i, one in enumerate(found) for other in found[:i])


def test_two_views_refuse_a_common_augmentation_before_training(tmp_path: Path) -> None:
    strong = replace(RECIPE, augmentation="strong")
    with pytest.raises(ValueError, match="'corr': augmentation must be usual, since it has views of its own, got str"):
        train("corr", SETS, folder=tmp_path, recipe=strong)


@pytest.mark.parametrize("spec", ALL)
def test_a_row_of_weight_two_is_two_rows(spec: str) -> None:
    rows = SETS.train
    (stage,) = method(spec).stages(replace(RECIPE, model_args={"hidden": (8,)}))
    double = replace(rows, sample_weight=torch.where(torch.arange(len(rows)) < 5, 2.0, 1.0).double())
    torch.manual_seed(0)
    learner = stage.build(TrainingSet(double), None).learner
    twice = rows.batch(torch.cat([torch.arange(5), torch.arange(12)]))
    weighted = learner.training_step(double.batch(torch.arange(12)), 0.0).loss
    torch.testing.assert_close(weighted, learner.training_step(twice, 0.0).loss)
