"""A scikit-learn classifier as a learner says what scikit-learn says, and is state like any other learner's."""

from __future__ import annotations

import copy
import logging
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from longtail.data import Examples
from longtail.engine import state_files
from longtail.engine.randomness import seeded
from longtail.facts import trusted
from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Update
from longtail.learners import EstimatorLearner, FittedEstimator
from longtail.learners.estimator import MANY_CLASSES, EvaluateOnly, fit_logged, no_optimizer
from longtail.methods.estimators.classifiers import slower
from longtail.runs.predictor import Predictor

C = 4
pytest.importorskip("skops.io")


def data(classes: tuple[int, ...] = (0, 1, 3), weight: Tensor | None = None, seed: int = 0) -> Examples:
    """Gaussian classes of 40, 20, 10, ... rows; class 2 has none."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor([40 // 2**j for j in range(len(classes))])
    targets = torch.repeat_interleave(torch.tensor(classes), counts)
    inputs = torch.randn(len(targets), 3, generator=generator) + targets.unsqueeze(1)
    return Examples(inputs, targets, tuple("abcd"), weight)


def logistic(seed: int, targets: Any) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, tol=1e-10, random_state=seed))


def trees(seed: int, targets: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=5, early_stopping=True, random_state=seed)


MAKERS = {"logistic": logistic, "trees": trees}
each = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def fitted(make: Any = logistic, train: Examples | None = None, seed: int = 0, **options: Any) -> EstimatorLearner:
    learner = EstimatorLearner(make, C, **options)
    with seeded(seed, 0, 0):
        learner.start_epoch(data() if train is None else train, 0.0)
    return learner


def arrays(train: Examples) -> tuple[Any, Any]:
    return train.inputs.double().numpy(), train.targets.numpy()


@each
def test_its_scores_are_scikit_learns_log_probabilities_in_our_order_of_classes(make: Any) -> None:
    train = data()
    with seeded(0, 0, 0):
        own = make(torch.initial_seed() % 2**32, None).fit(*arrays(train))
    scores = fitted(make, train).predict(train.inputs)
    assert scores.shape == (len(train), C)
    assert scores.dtype == torch.float32
    expected = np.log(own.predict_proba(arrays(train)[0])).astype(np.float32)
    assert scores[:, [0, 1, 3]].numpy().tobytes() == expected.tobytes()


@each
def test_a_class_without_training_rows_has_the_floor_and_no_probability_is_less(make: Any) -> None:
    scores = fitted(make).predict(torch.tensor([[0.0, 0, 0], [1e4, 1e4, 1e4], [-1e4, 0, 0]]))
    assert scores[:, 2].eq(math.log(1e-12)).all()
    assert scores.isfinite().all()
    assert scores.min() == torch.tensor(math.log(1e-12))


def test_a_sample_weight_of_k_is_k_copies_of_the_row() -> None:
    train = data()
    times = torch.arange(len(train)) % 4
    weighted = data(weight=times.float())
    copied = train.take(torch.repeat_interleave(torch.arange(len(train)), times))
    for balanced in (False, True):
        one, other = (fitted(train=rows, balanced=balanced).predict(train.inputs) for rows in (weighted, copied))
        # to the solver's tolerance; without the weights they are far apart
        assert (one - other).abs().max() < 1e-4
        assert (one - fitted(balanced=balanced).predict(train.inputs)).abs().max() > 0.05


@each
def test_rows_of_weight_zero_are_not_there(make: Any) -> None:
    train = data()
    weight = (train.targets != 3).float()
    one = fitted(make, data(weight=weight))
    other = fitted(make, train.take(torch.nonzero(weight).flatten()))
    assert one.predict(train.inputs).allclose(other.predict(train.inputs), atol=1e-4)
    assert one.predict(train.inputs)[:, 3].eq(math.log(1e-12)).all()


@each
def test_balanced_is_scikit_learns_balanced(make: Any) -> None:
    train = data()
    with seeded(0, 0, 0):
        own = make(torch.initial_seed() % 2**32, None)
    (own.steps[-1][1] if hasattr(own, "steps") else own).set_params(class_weight="balanced")
    expected = np.log(own.fit(*arrays(train)).predict_proba(arrays(train)[0]))
    predictions = fitted(make, train, balanced=True).predict(train.inputs)
    np.testing.assert_allclose(predictions[:, [0, 1, 3]].numpy(), expected, atol=1e-4)
    assert not np.allclose(fitted(make, train).predict(train.inputs)[:, [0, 1, 3]].numpy(), expected, atol=1e-2)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    one, same, other = (fitted(trees, seed=seed).network.fitted for seed in (0, 0, 1))
    assert one.equal(same)
    assert not one.equal(other)


@pytest.mark.slow
def test_threads_change_nothing_and_are_put_back() -> None:
    train = data()
    before = torch.get_num_threads()
    predictions = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            predictions.append(fitted(trees, train).predict(train.inputs))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(predictions[0], predictions[1])


@each
def test_its_state_goes_through_a_file_into_a_fresh_learner(make: Any, tmp_path: Any) -> None:
    learner, inputs = fitted(make), data().inputs
    state_files.save(tmp_path / "state", learner.state_dict())
    restored = EstimatorLearner(make, C)
    restored.load_state_dict(state_files.load(tmp_path / "state"))
    assert restored.predict(inputs).equal(learner.predict(inputs))
    assert restored.state_dict()["network.fitted"].equal(learner.network.fitted)
    unfitted = EstimatorLearner(make, C)
    restored.load_state_dict(unfitted.state_dict())
    with pytest.raises(RuntimeError, match="the estimator is not fitted; train it or load its state first"):
        restored.predict(inputs)


@each
def test_a_saved_model_predicts_the_same_bytes(make: Any, tmp_path: Any) -> None:
    train = data()
    predictor = Predictor(fitted(make, train).network, train.classes, torch.tensor([40, 20, 1, 10]))
    predictor.save(tmp_path)
    loaded = Predictor.load(tmp_path)
    assert loaded.scores(train.inputs).numpy().tobytes() == predictor.scores(train.inputs).numpy().tobytes()
    assert copy.deepcopy(loaded).scores(train.inputs).equal(loaded.scores(train.inputs))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_a_step_says_the_weighted_log_loss_and_moves_nothing() -> None:
    train = data(weight=torch.arange(70).float())
    learner = fitted(train=train)
    before = learner.network.fitted.clone()
    update, optimizer = EvaluateOnly(), no_optimizer(learner.trainable())
    batch = train.batch(torch.arange(5, 60))
    step = update(learner, batch, optimizer, 0.0)
    scores = learner.predict(train.inputs)
    losses = [-float(scores[i, train.targets[i]]) for i in range(5, 60)]
    assert step.losses is not None
    assert step.losses.tolist() == pytest.approx(losses)
    assert float(step.loss) == pytest.approx(sum(i * loss for i, loss in enumerate(losses, 5)) / sum(range(5, 60)))
    unweighted = update(learner, data().batch(torch.arange(5, 60)), optimizer, 0.0)
    assert float(unweighted.loss) == pytest.approx(sum(losses) / 55)
    assert learner.network.fitted.equal(before)
    assert update.state_dict() == {}


def test_it_is_a_learner_and_its_update_an_update() -> None:
    learner = fitted()
    assert isinstance(learner, Learner)
    assert isinstance(EvaluateOnly(), Update)
    assert learner.inference() == Inference(learner.network, 1.0, "softmax")
    before = learner.network.fitted.clone()
    with learner.held():
        learner.training_step(data().batch(torch.arange(5)), 0.5)
    assert learner.network.fitted.equal(before)
    assert list(learner.parameters()) == learner.trainable() == []


def test_images_are_flattened() -> None:
    train = data()
    images = Examples(train.inputs.reshape(-1, 1, 3, 1), train.targets, train.classes)
    assert fitted(train=images).predict(images.inputs).equal(fitted(train=train).predict(train.inputs))


def test_one_class_alone_is_refused() -> None:
    train = data()
    alone = data(weight=(train.targets == 1).float())
    with pytest.raises(ValueError, match="two classes or more must have rows of sample weight > 0; correct the"):
        fitted(train=alone)


def test_more_classes_than_half_the_rows_of_a_tree_are_no_warning() -> None:
    x, y = np.arange(30.0)[:, None], np.append(np.arange(20), np.arange(10))
    with pytest.warns(UserWarning, match=MANY_CLASSES):
        DecisionTreeClassifier().fit(x, y)
    fit_logged(DecisionTreeClassifier(), x, y, {})  # a warning is an error here


def test_a_fit_that_does_not_converge_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def hasty(seed: int, targets: Any) -> Any:
        return LogisticRegression(max_iter=1)

    with caplog.at_level(logging.WARNING):
        fitted(hasty)
    assert "the fit stopped before it converged (lbfgs failed to converge" in caplog.text


def zipf(classes: int = 8, size: int = 400) -> Examples:
    """Many classes, most of them of a few rows, which the inputs hardly tell apart: here boosting diverges."""
    generator = torch.Generator().manual_seed(0)
    shares = 1 / torch.arange(1, classes + 1).double() ** 2
    targets = torch.multinomial(shares, size, replacement=True, generator=generator)
    inputs = torch.randn(size, 2, generator=generator) + 0.3 * targets.unsqueeze(1)
    return Examples(inputs, targets, tuple(map(str, range(classes))))


def boosting(seed: int, targets: Any) -> Any:
    return HistGradientBoostingClassifier(learning_rate=1.0, max_iter=10, early_stopping=False, random_state=seed)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_fit_that_diverges_is_repeated_with_smaller_steps(balanced: bool, caplog: pytest.LogCaptureFixture) -> None:
    train = zipf()

    def loss(**options: Any) -> float:
        learner = EstimatorLearner(boosting, 8, balanced=balanced, **options)
        with seeded(0, 0, 0):
            learner.start_epoch(train, 0.0)
        losses = learner.training_step(train.batch(torch.arange(len(train))), 0.0).losses
        assert losses is not None
        weight = (1 / train.class_counts)[train.targets] if balanced else torch.ones(len(train))
        return float((losses * weight).sum() / weight.sum())

    shares = train.class_counts[train.class_counts > 0] / len(train)
    bound = math.log(len(shares)) if balanced else -float((shares * shares.log()).sum())
    assert loss() > bound
    assert "diverged" not in caplog.text
    assert loss(gentler=slower) < bound
    message = "the fit of HistGradientBoostingClassifier diverged; it is fitted again with learning_rate = 0.333"
    assert [record.message for record in caplog.records] == [message]


def test_a_fit_that_never_gets_better_is_left_after_four(caplog: pytest.LogCaptureFixture) -> None:
    fits = []

    def same(estimator: Any) -> Any:
        fits.append(estimator)
        return boosting(0, None)

    learner = EstimatorLearner(boosting, 8, gentler=same)
    learner.start_epoch(zipf(), 0.0)
    assert len(fits) == 3
    assert caplog.text.count("diverged") == 3


def test_a_fit_that_does_not_diverge_is_taken_as_it_is() -> None:
    def never(estimator: Any) -> Any:
        raise AssertionError

    for balanced in (False, True):
        one, other = (fitted(trees, balanced=balanced, gentler=g) for g in (never, None))
        assert one.network.fitted.equal(other.network.fitted)


FORGED = {
    "floats": (torch.zeros(3), "a saved estimator must be bytes, got torch.float32"),
    "noise": (torch.arange(50, dtype=torch.uint8), "the saved estimator is damaged"),
    "a scaler": (StandardScaler().fit([[0.0], [1.0]]), "must be a classifier of class indices, got something else"),
    "words": (LogisticRegression().fit([[0.0], [1.0]], ["a", "b"]), "must be a classifier of class indices"),
    "more classes": (LogisticRegression().fit([[0.0], [1.0]], [0, 9]), r"must be in \[0, 4\), got 0 to 9"),
}


@pytest.mark.parametrize(("state", "message"), FORGED.values(), ids=FORGED.keys())
def test_a_state_that_is_no_classifier_of_these_classes_is_refused(state: Any, message: str) -> None:
    if not isinstance(state, Tensor):
        state = torch.frombuffer(bytearray(trusted.dumps(state)), dtype=torch.uint8)
    with pytest.raises(ValueError, match=message):
        FittedEstimator(C).load_state_dict({"fitted": state})
