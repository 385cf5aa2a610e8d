"""Outliers of classes: those of scikit-learn, class by class, and what small classes keep."""

from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import LocalOutlierFactor

from longtail.learners.outliers import inliers

COUNTS = (30, 10, 4, 1)
TARGETS = torch.repeat_interleave(torch.arange(4), torch.tensor(COUNTS))[torch.randperm(45, generator=torch.Generator().manual_seed(1))]  # fmt: skip # noqa: E501
FEATURES = torch.randn(45, 3, generator=torch.Generator().manual_seed(0))


def first_of(c: int) -> int:
    return TARGETS.tolist().index(c)


def planted() -> torch.Tensor:
    features = FEATURES.clone()
    for c in (0, 1, 2):
        features[first_of(c)] += 30
    return features


@pytest.mark.parametrize("neighbours", [5, 20])
def test_they_are_those_of_scikit_learn_in_every_class(neighbours: int) -> None:
    features = planted()
    found = inliers(features, TARGETS, neighbours)
    for c, count in enumerate(COUNTS[:2]):
        factor = LocalOutlierFactor(n_neighbors=min(neighbours, count // 2))
        expected = factor.fit_predict(features[c == TARGETS].double().numpy()) == 1
        assert found[c == TARGETS].tolist() == expected.tolist()
        assert not found[first_of(c)].any()  # far from its class, near to nobody


def test_classes_of_fewer_than_five_rows_keep_them() -> None:
    assert inliers(planted(), TARGETS)[TARGETS >= 2].all()


def test_with_all_others_as_neighbours_nothing_would_stand_out() -> None:
    rows = planted()[TARGETS == 1].double().numpy()
    assert (LocalOutlierFactor(n_neighbors=9).fit_predict(rows) == 1).all()


def test_without_neighbours_all_rows_stay() -> None:
    assert inliers(planted(), TARGETS, 0).all()


def test_equal_rows_stay_and_a_class_never_loses_all() -> None:
    features = torch.zeros(12, 3)
    assert inliers(features, torch.zeros(12, dtype=torch.int64), 3).all()
