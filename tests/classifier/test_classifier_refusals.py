"""Bad input is refused in one line, before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from tests.cases import cases
from tests.classifier.classifier_data import arrays, frame

import longtail as lt
from longtail.runs.fit import Fit

X, Y = arrays(30)
TABLE, OUTCOME = frame(30)
IMAGES = np.zeros((30, 40, 40, 3), dtype=np.uint8)
HOLES = np.where(np.eye(30, 4, k=-5) > 0, np.nan, X)


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object) -> None:
        raise AssertionError("this was trained")

    monkeypatch.setattr(Fit, "__next__", train)


@cases(
    ("options", "line"),
    [
        ({"method": "logit-ajusted"}, r"unknown method 'logit-ajusted'; did you mean logit-adjusted\(tau=1.0"),
        ({"method": "ce(tau=1)"}, "method 'ce' has no knob 'tau'"),
        ({"knobs": {"taus": 1}}, "method 'logit-adjusted' has no knob 'taus'; did you mean 'tau'"),
        ({"knobs": {"tau": -1}}, "tau must be .*got -1"),
        ({"knobs": "tau=2"}, r"knobs must be a dict of names and values, got 'tau=2'; as in \{\"tau\": 2.0\}"),
        ({"method": None}, 'method must be a spec string, got None; as in "ldam-drw'),
        ({"method": lt.method("ce")}, "method must be a spec string, got"),
        ({"method": "fixmatch"}, "must be supervised, .* got 'fixmatch', which is semi-supervised; longtail methods"),
        ({"method": "simclr"}, "got 'simclr', which is self-supervised"),
        ({"method": "proden"}, "got 'proden', which is partial"),
        ({"epochs": 0}, "epochs must be .* got 0"),
        ({"lr": -1.0}, "lr must be .* got -1"),
        ({"model": "resnet"}, "model must be one of auto, linear, mlp"),
        ({"val": 1.5}, r"val .*must be in \(0, 1\).* got 1.5"),
        ({"device": "tpu"}, 'device must be "cpu" or "cuda", got \'tpu\''),
        ({"random_state": -1}, r"random_state must be in \[0, 2\^63\), got -1"),
        ({"random_state": "x"}, "cannot be used to seed"),
        ({"objective": "macro_f1"}, "macro_f1 is chosen on rows that are not trained on, got no validation part"),
        ({"objective": "macro_f2", "val": 0.3}, "unknown objective 'macro_f2'; did you mean 'macro_f1'"),
        ({"calibrate": "auto"}, "needs rows that are not trained on, got no validation part"),
        ({"positive": "rare"}, "is the class of an objective or of costs, got 'rare' without"),
        ({"cost": "missed=3,false=1", "positive": "rarer"}, "positive .*'rarer'"),
        ({"target_prior": {"common": 0.5, "odd": 0.5}}, "target_prior .*rare"),
        ({"target_prior": "unifrom"}, "target_prior .* must be training, uniform, estimate, .*got 'unifrom'"),
        (
            {"target_prior": "uniform", "objective": "macro_f1", "val": 0.3},
            "target_prior .* does not go with thresholds that were chosen on validation rows",
        ),
    ],
)
def test_parameters_are_checked_before_training(options: dict[str, Any], line: str) -> None:
    with pytest.raises((ValueError, TypeError), match=line) as failure:
        lt.LongTailClassifier(**options).fit(X, Y)
    assert "\n" not in str(failure.value)


@cases(
    ("rows", "labels", "options", "line"),
    [
        (X[:29], Y, {}, "inconsistent numbers of samples: "),
        (TABLE[:29], OUTCOME, {}, "inconsistent numbers of samples: "),
        (X, None, {}, "requires y to be passed, but the target y is None"),
        (csr_array(X), Y, {}, "Sparse data was passed"),
        (HOLES, Y, {}, r"X must be finite, got NaN in row 5, column 0 \(4 such values\); impute .* pandas frame"),
        (
            np.where(np.arange(120).reshape(30, 4) == 9, np.inf, X),
            Y,
            {},
            r"X must be finite, got inf in row 2, column 1 \(1 such",
        ),
        (
            np.array([["a", "b"]] * 30),
            Y,
            {},
            "X must be numbers where it is an array, got text such as 'a'; pass a pandas",
        ),
        (TABLE.to_numpy(), OUTCOME, {}, "X must be numbers where it is an array, got text such as"),
        (pd.DataFrame({"x": [1.0] * 30}), Y, {}, "must have a feature column to learn from, got none"),
        (IMAGES, Y, {"method": "trees"}, "'trees' takes at most 1,024 values an example, got 4,800"),
        (TABLE, OUTCOME, {"model": "mlp"}, "model must be tabular for a table with columns of categories, got 'mlp'"),
        (np.zeros((30, 2, 2, 2, 3)), Y, {}, "features must have shape"),
        (X[:, 0], Y, {}, "Expected 2D array, got 1D array instead"),
        ("claims.csv", Y, {}, "X must be rows in memory, got 'claims.csv'; read the file first, or use lt.fit"),
        (TABLE.set_axis(list("aabcd"), axis=1), OUTCOME, {}, "columns of different names, got 'a' twice; rename one"),
        (TABLE[:0], [], {}, r"X must have rows and columns, got a frame of shape \(0, 5\); pass at least one row"),
    ],
)
def test_rows_are_checked_before_training(rows: Any, labels: Any, options: dict[str, Any], line: str) -> None:
    with pytest.raises((ValueError, TypeError), match=line) as failure:
        lt.LongTailClassifier(**options).fit(rows, labels)
    assert "\n" not in str(failure.value)


@cases(
    ("weight", "line"),
    [
        (np.ones(29), r"sample_weight must have shape \(30,\), got \(29,\); pass one per row"),
        (-np.ones(30), "sample_weight must be finite and >= 0, got -1"),
        (np.zeros(30), "sample_weight must not be zero for every row"),
        (np.where(Y == "rare", 0.0, 1.0), "must have a training example of weight > 0, got only 0 in class 'rare'"),
    ],
)
def test_weights_are_checked_before_training(weight: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        lt.LongTailClassifier().fit(X, Y, sample_weight=weight)


def test_what_is_not_fitted_says_so() -> None:
    from sklearn.exceptions import NotFittedError

    for call in (lambda c: c.predict(X), lambda c: c.predict_proba(X), lambda c: c.save("nowhere")):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            call(lt.LongTailClassifier())
    with pytest.raises(ValueError, match="Invalid parameter 'knob'"):
        lt.LongTailClassifier().set_params(knob=1)
