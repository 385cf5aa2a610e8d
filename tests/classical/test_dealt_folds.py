"""Folds: every row is tested once, and every training part has every class."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC

from longtail.classical import DealtFolds


@pytest.mark.parametrize("sizes", [(30, 12, 5), (30, 4, 2), (30, 3, 1), (30, 1, 1), (3, 2), (1, 1), (40, 2, 2, 1)])
def test_every_row_is_tested_once_and_every_training_part_has_every_class(sizes: tuple[int, ...]) -> None:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    folds = list(DealtFolds(5).split(None, y))
    assert len(folds) == DealtFolds(5).get_n_splits(y=y) == min(5, max(sizes))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(y)))
    alone = np.flatnonzero(np.array(sizes)[y] == 1)
    for train, test in folds:
        assert set(y[train]) == set(range(len(sizes)))
        assert set(train) & set(test) <= set(alone)  # a row is seen before its test only where its class has no other
        assert set(alone) <= set(train)
        assert len(test)
        for j, size in enumerate(sizes):  # of each class every fold has its part
            assert (y[test] == j).sum() in (size // len(folds), -(-size // len(folds)))


def test_scikit_learn_refuses_folds_of_its_own_for_such_classes_and_takes_these() -> None:
    g = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], (20, 3, 1))
    x = g.normal(size=(24, 2)) + 2 * y[:, None]
    with pytest.raises(ValueError, match="less than 5 examples for at least one class"):
        CalibratedClassifierCV(SVC(), cv=5, ensemble=False).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = CalibratedClassifierCV(SVC(), cv=DealtFolds(5), ensemble=False).fit(x, y)
    assert np.isfinite(found.predict_proba(x)).all()
    machine = found.calibrated_classifiers_[0]
    alone = machine.calibrators[2].predict(machine.estimator.decision_function(x[-1:])[:, 2])
    assert 1 / 24 < alone[0] <= 2 / 3 + 1e-6  # Platt's target for one row, (1 + 1) / (1 + 2), is all that it can claim


def test_fewer_than_two_folds() -> None:
    with pytest.raises(ValueError, match=r"folds must be an integer >= 2, got 1; choose a value in that range"):
        DealtFolds(1)
