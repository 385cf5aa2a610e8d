"""Contributions of logistic regression by its formula, and which pipelines have any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from longtail.learners.contributions import contributions_of, linear, remember_means

DRAW = np.random.default_rng(0)
CODES = DRAW.integers(0, 3, 90)
X = np.column_stack([DRAW.normal(2, 3, 90), CODES, DRAW.normal(size=90)])
WEIGHT = DRAW.integers(1, 4, 90).astype(float)


class Sampler:
    """A step that is for fitting alone."""

    def fit_resample(self, x: Any, y: Any) -> Any:
        raise AssertionError

    def transform(self, x: Any) -> Any:
        raise AssertionError


def pipeline(classes: int, weight: Any = None) -> Any:
    y = np.digitize(X[:, 0] + CODES, [2.0, 4.0][: classes - 1])
    numbers = ("numbers", StandardScaler(), [0, 2])
    first = ColumnTransformer([("codes", OneHotEncoder(handle_unknown="ignore"), [1]), numbers])
    made = make_pipeline(first, LogisticRegression()).fit(X, y)
    made.steps.insert(1, ("sampler", Sampler()))
    remember_means(made, X, weight)
    return made


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "VALUES", 10)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weights"])
def test_the_formula_column_by_column(classes: int, weight: Any) -> None:
    model = pipeline(classes, weight)
    found = contributions_of(model, np.array([0, 1, 2]), 3)
    assert found is not None
    last, scaler = model.steps[-1][1], model.steps[0][1].named_transformers_["numbers"]
    w = np.ones(90) if weight is None else weight
    means = [float(w @ X[:, d] / w.sum()) for d in (0, 2)]
    shares = [float(w[c == CODES].sum() / w.sum()) for c in range(3)]
    rows = np.vstack([X[:5], [[1.0, 7.0, 0.0]]])  # the last has a category that training did not have
    for k in range(1 if classes == 2 else 3):
        coef = last.coef_[k]
        for row, own in zip(rows, found(rows, k), strict=True):
            numbers = [coef[3 + i] * (row[d] - means[i]) / scaler.scale_[i] for i, d in enumerate((0, 2))]
            code = sum(coef[c] * ((row[1] == c) - shares[c]) for c in range(3))
            np.testing.assert_allclose(own, [numbers[0], code, numbers[1]], rtol=0, atol=1e-12)
    total = np.stack([found(rows, k).sum(1) for k in range(len(found.expected))], axis=1) + found.expected
    np.testing.assert_allclose(total, found.scores(rows), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.expected, np.average(found.scores(X), axis=0, weights=weight), atol=1e-12)


def test_columns_of_one_player_are_added_up() -> None:
    model = pipeline(3)
    apart, together = (contributions_of(model, np.array(p), max(p) + 1) for p in ([0, 1, 2], [0, 1, 0]))
    assert apart is not None
    assert together is not None
    each = apart(X, 0)
    np.testing.assert_allclose(together(X, 0), np.column_stack([each[:, 0] + each[:, 2], each[:, 1]]), atol=1e-12)


def test_a_model_without_means_is_refused() -> None:
    model = pipeline(2)
    del model.steps[-1][1].training_means_
    with pytest.raises(ValueError, match="train it again"):
        contributions_of(model, np.arange(3), 3)


def test_other_models_have_none() -> None:
    y = CODES > 0
    forest = RandomForestClassifier(2).fit(X, y)
    mixed = make_pipeline(PCA(2), LogisticRegression()).fit(X, y)
    for model in (forest, mixed):
        remember_means(model, X, None)
        assert contributions_of(model, np.arange(3), 3) is None
    assert not hasattr(mixed.steps[-1][1], linear.MEANS)
