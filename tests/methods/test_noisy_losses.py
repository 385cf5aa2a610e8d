"""Methods for noisy labels by a loss: their constants, interrupted, composed, refused."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.methods.test_robust import BASES, RECIPE, SPLITS, predictions

from longtail import losses
from longtail.data import TrainingSet
from longtail.engine import Training
from longtail.facts import ledger
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.runs.train import Fit, train
from longtail.targets import Truncated


def test_the_first_training_of_the_correction_is_ce_also_under_another_correction() -> None:
    ce = method("ce").stages(RECIPE)[0].spec
    backward = "forward(direction='backward', percentile=97)"
    for spec in ("forward", backward, "absgd(base='forward')", "sam(base='forward')", "abadam(base='forward')"):
        first, last = method(spec).stages(RECIPE)
        assert first.spec == ce
        assert last.spec != ce
        optimizer = first.optimizer([{"params": [torch.nn.Parameter(torch.ones(1))]}])
        assert type(optimizer) is torch.optim.SGD


def test_under_decoupled_weights_the_matrix_is_that_of_the_first_network() -> None:
    matrices = []
    for spec in ("forward", "absgd-decoupled(base='forward')"):
        training = Training(method(spec).stages(RECIPE), TrainingSet(SPLITS.train))
        list(training)
        matrices.append(training.learner.loss.matrix)
    assert matrices[0].equal(matrices[1])


def test_a_given_matrix_is_one_training_and_may_come_from_python() -> None:
    rows = torch.tensor([[0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.0, 0.5, 0.5]])
    found = method(f"forward(matrix={rows.double().tolist()})")
    (stage,) = found.stages(RECIPE)
    learner: Any = stage.build(TrainingSet(SPLITS.train), None).learner
    torch.testing.assert_close(learner.loss.matrix, rows.double())
    assert type(learner.loss) is losses.ForwardCorrectedLoss
    assert method("forward(matrix=((0.8, 0.2, 0), (0.1, 0.8, 0.1), (0, 0.5, 0.5)))").refuses(SPLITS.train) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    ["gce(k=0.5)", "gce(k=0.4, every=0, start=0.4)", "gce(k=0.5, every=0.4)", "forward(direction='backward')",
     "bootstrap(hard=True)", "drw(base='gce(k=0.5)')", "absgd(base='gce(k=0.5)', lam=-1.0)",
     "absgd(base='sce', lam=-1.0)", "eg(base='sce')", "eg(persistent=True, tau=switch(0.4, inf, 1.0))",
     "crt(base='gce(k=0.5)')"],
)  # fmt: skip
def test_interrupted_after_every_epoch_it_ends_with_the_same_bytes(spec: str, tmp_path: Path) -> None:
    whole = train(spec, SPLITS, folder=tmp_path / "whole", recipe=RECIPE)
    assert all(math.isfinite(record["loss"]) for record in whole.records)
    for _ in whole.records:
        begun = Fit(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
        next(begun)
        del begun
    train(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
    assert predictions(tmp_path / "cut") == predictions(tmp_path / "whole")


def learner_of(spec: str) -> Any:
    return method(spec).stages(RECIPE)[-1].build(TrainingSet(SPLITS.train), None).learner


def test_what_is_composed_has_both_parts() -> None:
    learner = learner_of("drw(base='gce(k=0.4)')")
    assert type(learner.targets) is Truncated
    assert (learner.targets.k, learner.targets.start, learner.targets.every) == (0.4, 1 / 3, 1 / 12)
    assert learner.loss.class_weight is not None
    for spec in ("absgd(base='sce', lam=-1.0)", "eg(base='sce(alpha=0.5)')"):
        learner = learner_of(spec)
        assert type(learner.loss) is losses.SymmetricCrossEntropyLoss
        assert learner.weights is not None


def test_the_constants_are_the_published_ones() -> None:
    defaults = {
        key: {name: p.default for name, p in inspect.signature(CATALOG[key]).parameters.items()}
        for key in ("gce", "sce", "bootstrap", "forward")
    }
    assert defaults == {
        "gce": {"q": 0.7, "k": None, "start": 40 / 120, "every": 10 / 120},
        "sce": {"alpha": 0.1, "beta": 1.0, "label_floor": 1e-4, "floor": 1e-7},
        "bootstrap": {"b": None, "hard": False, "detach": False},
        "forward": {"matrix": "estimated", "direction": "forward", "percentile": 100.0},
    }
    assert learner_of("bootstrap").loss.b == 0.95
    assert learner_of("bootstrap(hard=True)").loss.b == 0.8
    # ABSGD's for noisy labels: plain for 80 of 120 epochs, a negative lambda, s from 0, a uniform weight beside
    weights = learner_of("absgd(base='sce', lam=switch(0.666, inf, -0.5), gamma=0.1, init='zero', uniform=1)").weights
    assert (weights.gamma, weights.init, weights.uniform) == (0.1, "zero", 1.0)
    assert [weights.lam(p) for p in (0.0, 79 / 120, 80 / 120)] == [math.inf, math.inf, -0.5]


def test_those_of_absgds_table_6_begin_when_its_code_lets_them_begin() -> None:
    """By the ledger's specs, of 120 epochs counted from 0: lambda from 80 on, which rows stay before each from 81."""
    specs = {row.method for row in ledger.published() if row.source == "Qi et al. 2023, table 6"}
    (weighted,) = (spec for spec in specs if spec.startswith("absgd"))
    lam = learner_of(weighted).weights.lam
    assert [lam(epoch / 120) for epoch in (79, 80)] == [math.inf, -1.0]
    (truncated,) = (spec for spec in specs if spec.startswith("gce"))
    periods = [learner_of(truncated).targets._period(epoch / 120) for epoch in range(78, 120)]
    assert periods[:3] == [-1, -1, -1]
    assert len(set(periods[3:])) == 120 - 81


@cases("base", BASES)
def test_a_negative_lambda_goes_over_every_base(base: str) -> None:
    """For noisy labels: two epochs of each supervised method stay finite, and the larger losses weigh less."""
    recipe = replace(RECIPE, epochs=2)
    found = method(f"absgd(base={base!r}, lam=-1.0)")
    training = Training(found.stages(found.long_enough(recipe)), TrainingSet(SPLITS.train))
    assert all(math.isfinite(record["loss"]) for record in training)
    weights = training.learner.weights if isinstance(training.learner, SupervisedLearner) else None
    if weights is not None:
        small, large = weights.weigh(torch.tensor([0.1, 2.0])).tolist()
        assert small > large


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "forward(matrix='known')",
            'matrix must be "estimated" or "identity" or rows of probabilities such as ((0.9, ',
        ),
        (
            "forward(matrix=0.5)",
            'matrix must be "estimated" or "identity" or rows of probabilities such as ((0.9, 0.1),',
        ),
        (
            "forward(matrix=(0.5, 0.5))",
            "matrix must be square, one row and one column per class, got shape (2,); row i",
        ),
        ("forward(matrix=((0.5, 0.6), (0, 1)))", "matrix must have rows that sum to 1, got 1.1 in row 0; divide each"),
        ("forward(matrix=((0.5, 0.5), (0.5, 0.5)), direction='backward')", "matrix must be invertible, got a singular"),
        ("forward(percentile=0)", "percentile must be in (0, 100], got 0; choose a value in that range"),
        ("sce(alpha=0, beta=0)", "alpha and beta must not both be 0, got 0"),
        ("gce(k=1)", "k must be in (0, 1), got 1; choose a value in that range"),
        ("gce(k=0)", "k must be in (0, 1), got 0; choose a value in that range"),
        ("mixup(base='gce(k=0.5)')", "base must be a supervised method that trains a network, such as"),
        ("ssp(base='forward')", "base must be a supervised method that trains a network, such as"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)) as error:
        method(spec)
    assert "; " in str(error.value)


def test_a_matrix_of_other_classes_is_refused_before_training() -> None:
    why = method("forward(matrix=((0.9, 0.1), (0.2, 0.8)))").refuses(SPLITS.train)
    assert why == "method 'forward' needs 3 rows in matrix, one per class, got 2; give a matrix of these classes"


def test_an_estimate_that_is_singular_is_refused_when_it_is_to_be_inverted() -> None:
    first, last = method("forward(direction='backward')").stages(RECIPE)
    previous: Any = first.build(TrainingSet(SPLITS.train), None).learner
    for parameter in previous.parameters():
        torch.nn.init.zeros_(parameter)  # every row has the same probabilities
    with pytest.raises(ValueError, match=r"^matrix must be invertible, got a singular one"):
        last.build(TrainingSet(SPLITS.train), previous)
