"""Labels of any kind come back as they went in; what is no class is refused in one line."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.cases import cases
from tests.classifier.classifier_data import arrays

import longtail as lt
from longtail.classifier.labels import by_name, encoded, names

X, Y = arrays()
CODES = np.unique(Y, return_inverse=True)[1]


@cases(
    ("y", "classes"),
    [
        (["b", "a", "b"], ["a", "b"]),
        (np.array(["b", "a", "b"], dtype=object), ["a", "b"]),
        (pd.Series(["b", "a", "b"], name="outcome"), ["a", "b"]),
        (pd.Categorical(["b", "a", "b"], categories=["b", "a"]), ["a", "b"]),
        ([True, False, True], [False, True]),
        ([7, -3, 7], [-3, 7]),
        (np.array([10.0, 2.0, 10.0]), [2.0, 10.0]),
        (np.array([7, -3, 7], dtype=object), [-3, 7]),
        (["10", "9", "10"], ["10", "9"]),
    ],
)
def test_classes_are_sorted_and_keep_their_type(y: Any, classes: list[Any]) -> None:
    found, indices = encoded(y)
    assert found.tolist() == classes
    assert [type(c) for c in found.tolist()] == [type(c) for c in classes]
    assert found[indices].tolist() == list(y)
    assert names(found) == tuple(map(str, classes))


@cases(
    ("y", "line"),
    [
        (["a", None, "b"], r"must not have missing labels, got one in row 1 \(None, NaN, inf\); drop or label"),
        (["a", float("nan"), None], "must not have missing labels, got 2 of them, first in row 1"),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), "must not have missing labels, got one in row 1"),
        (pd.Series([1.0, np.nan, 2.0]), "must not have missing labels, got one in row 1"),
        (["a", 1, "b"], "must have labels of one kind, got strings such as 'a' and numbers such as 1; convert"),
        (np.array([True, 2], dtype=object), "got truth values such as True and numbers such as 2"),
        ([0.5, 1.5, 2.25], "Unknown label type: continuous"),
        (["a", "a", "a"], "must have at least two classes, got one class only, 'a'; add examples"),
        ([3], "must have at least two classes, got one class only, 3"),
        ([[0, 1], [1, 0], [1, 1]], "should be a 1d array, got an array of shape \\(3, 2\\)"),
        ([datetime.date(2020, 1, 1), "a"], "values of type date such as datetime.date"),
    ],
)
def test_what_is_no_class_is_refused(y: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line) as failure:
        encoded(y)
    assert "\n" not in str(failure.value)


def test_a_model_of_any_labels_has_the_same_numbers() -> None:
    options: dict[str, Any] = {"epochs": 2}
    first = lt.LongTailClassifier(**options).fit(X, CODES)
    for classes in (["x", "y", "z"], [-1, 5, 40], ["", "'q'", "nan"]):
        clf = lt.LongTailClassifier(**options).fit(X, np.array(classes)[CODES])
        assert clf.classes_.tolist() == classes
        assert clf.predict_proba(X).tolist() == first.predict_proba(X).tolist()
        assert clf.predict(X).tolist() == np.array(classes)[first.predict(X)].tolist()
    frame = pd.DataFrame(X, columns=list("abcd"))
    in_table = lt.LongTailClassifier(**options).fit(frame, np.array(["", "'q'", "nan"])[CODES])
    assert set(in_table.predict(frame)) <= {"", "nan", "'q'"}


def test_a_class_of_one_row_is_learnt_from_and_a_row_of_weight_two_is_two_rows() -> None:
    y = np.where(np.arange(len(X)) == 4, "single", Y)
    clf = lt.LongTailClassifier("logistic").fit(X, y)
    assert clf.classes_.tolist() == ["common", "odd", "rare", "single"]
    assert clf.predict_proba(X).shape == (len(X), 4)
    weight = np.where(np.arange(len(X)) == 4, 2.0, 1.0)
    twice = lt.LongTailClassifier("logistic").fit(np.vstack([X, X[4]]), [*y, y[4]])
    weighted = lt.LongTailClassifier("logistic").fit(X, y, sample_weight=weight)
    assert np.allclose(weighted.predict_proba(X), twice.predict_proba(X), atol=1e-5)


def test_a_prior_is_given_by_label_and_decides_by_the_most_probable_class() -> None:
    prior = {0: 0.2, 1: 0.2, 2: 0.6}
    clf = lt.LongTailClassifier("logistic", target_prior=prior).fit(X, CODES)
    plain = lt.LongTailClassifier("logistic").fit(X, CODES)
    shares = np.bincount(CODES) / len(CODES)
    by_hand = [[p * prior[j] / shares[j] for j, p in enumerate(row)] for row in plain.predict_proba(X).tolist()]
    by_hand = [[p / sum(row) for p in row] for row in by_hand]
    assert np.allclose(clf.predict_proba(X), by_hand, rtol=1e-9)
    assert clf.predict(X).tolist() == np.argmax(by_hand, axis=1).tolist()
    assert by_name({True: 1, np.int64(3): 2, "a": 3}) == {"True": 1, "3": 2, "a": 3}
    assert by_name("uniform") == "uniform"
