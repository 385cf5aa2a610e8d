"""The plug-in rule: its threshold is the share of the class, and its regret falls to 0 where that of 1/2 does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from longtail.classical import KernelRoot, PlugInClassifier
from longtail.facts import trusted
from longtail.posthoc import LogitAdjustment, PluginThreshold

G = np.random.default_rng(0)
Y = np.repeat([0, 1], (80, 20))
X = G.normal(size=(100, 2)) + Y[:, None]

GRID = np.linspace(-8, 8, 4001)
STEP = GRID[1] - GRID[0]
SHARE = 0.1


def density(at: Any, mean: float, scale: float) -> Any:
    return np.exp(-(((at - mean) / scale) ** 2) / 2) / (scale * math.sqrt(2 * math.pi))


COMMON = density(GRID, 0, 1)
RARE = (density(GRID, -2.5, 0.5) + density(GRID, 2.5, 0.5)) / 2
LEAST = STEP * np.minimum(COMMON, RARE).sum() / 2
"""The least balanced error of the mixture: where the densities cross."""


def sample(size: int, chance: Any) -> tuple[Any, Any]:
    """Rows of the mixture: a common class at 0 and a rare one on both of its sides."""
    y = (chance.random(size) < SHARE).astype(int)
    rare = chance.choice([-2.5, 2.5], size) + 0.5 * chance.normal(size=size)
    return np.where(y == 1, rare, chance.normal(size=size))[:, None], y


def balanced_error(decided: Any) -> float:
    """Of decisions on the grid, under the true densities: no test rows, so no noise of theirs."""
    return float(STEP * (COMMON[decided == 1].sum() + RARE[decided == 0].sum()) / 2)


def test_the_regret_falls_to_0_with_the_rows_and_that_of_one_half_does_not() -> None:
    regrets = []
    for size in (60, 240, 960):
        found = []
        for seed in range(3):
            x, y = sample(size, np.random.default_rng(seed))
            model = PlugInClassifier(make_pipeline(KernelRoot(), LogisticRegression())).fit(x, y)
            half = model.predict_proba(GRID[:, None]).argmax(1)
            found.append([balanced_error(model.predict(GRID[:, None])) - LEAST, balanced_error(half) - LEAST])
        regrets.append(np.mean(found, axis=0))
    plug, half = np.array(regrets).T
    assert plug[0] > 2 * plug[1] > 0
    assert plug[2] < 0.01
    # 1/2 is the wrong threshold for ever: even with the true probabilities it has this regret
    wrong = balanced_error((SHARE * RARE > (1 - SHARE) * COMMON).astype(int)) - LEAST
    assert wrong > 0.05
    assert (half > 0.8 * wrong).all()
    assert balanced_error((RARE > COMMON).astype(int)) == pytest.approx(LEAST)


def test_of_two_classes_the_second_is_decided_above_its_share() -> None:
    model = PlugInClassifier(LogisticRegression()).fit(X, Y)
    eta = LogisticRegression().fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), eta)
    decided = [1 if second > 0.2 else 0 for _, second in eta.tolist()]
    assert model.predict(X).tolist() == decided
    assert decided != eta.argmax(1).tolist()


def test_of_several_classes_it_is_the_rule_on_scores_and_logit_adjustment() -> None:
    y = np.repeat(["a", "b", "c"], (70, 20, 10))
    x = G.normal(size=(100, 2)) + np.repeat([0, 1, 2], (70, 20, 10))[:, None]
    model = PlugInClassifier(LogisticRegression()).fit(x, y)
    logs = np.log(model.predict_proba(x))
    for rule in (PluginThreshold([70, 20, 10]), LogitAdjustment([70, 20, 10], tau=1.0)):
        assert model.classes_[np.asarray(rule(logs)).argmax(1)].tolist() == model.predict(x).tolist()
    assert np.array_equal(PluginThreshold([70, 20, 10])(logs), LogitAdjustment([70, 20, 10])(logs))
    ratios = [[p / share for p, share in zip(row, (0.7, 0.2, 0.1), strict=True)] for row in np.exp(logs).tolist()]
    assert model.predict(x).tolist() == ["abc"[row.index(max(row))] for row in ratios]


def test_weights_are_copies_in_fit_and_shares() -> None:
    times = np.arange(100) % 3
    weighted = PlugInClassifier(LogisticRegression(tol=1e-8)).fit(X, Y, sample_weight=times)
    copied = PlugInClassifier(LogisticRegression(tol=1e-8)).fit(np.repeat(X, times, axis=0), np.repeat(Y, times))
    np.testing.assert_allclose(weighted.shares_, copied.shares_)
    np.testing.assert_allclose(weighted.predict_proba(X), copied.predict_proba(X), atol=1e-5)


def test_is_saved_and_read_back() -> None:
    pytest.importorskip("skops.io")
    model = PlugInClassifier(make_pipeline(StandardScaler(), KernelRoot(), LogisticRegression())).fit(X, Y)
    again = trusted.loads(trusted.dumps(model), "the model")
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert again.predict(X).tobytes() == model.predict(X).tobytes()


@pytest.mark.parametrize(
    ("estimator", "weight", "message"),
    [
        (SVC(), None, "estimator must have predict_proba, got SVC without; wrap it in CalibratedClassifierCV"),
        (
            make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")),
            None,
            "logisticregression__class_weight of the estimator must be None, since the shares are taken off",
        ),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            np.ones(100),
            "estimator must take sample_weight for rows with weights, got Pipeline; leave the weights out, or make",
        ),
        (LogisticRegression(), 1.0 - Y, "every class must have weight, got 0 for class 1; leave out its rows"),
    ],
)
def test_refusals(estimator: Any, weight: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        PlugInClassifier(estimator).fit(X, Y, sample_weight=weight)
    assert str(error.value).startswith(message)


def test_is_a_classifier_as_scikit_learn_checks_them() -> None:
    check_estimator(PlugInClassifier(LogisticRegression()), on_skip=None)
    calibrated = CalibratedClassifierCV(SVC(), cv=2, ensemble=False)
    assert PlugInClassifier(calibrated).fit(X, Y).predict(X).shape == (100,)
