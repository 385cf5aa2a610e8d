"""SMOTE for small classes: imbalanced-learn's where that works, the same rule with fewer neighbours elsewhere."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from longtail.classical.smote import SmallClassSMOTE

over = pytest.importorskip("imblearn.over_sampling")


def rows(*sizes: int, codes: int = 0, seed: int = 0) -> tuple[Any, Any]:
    """Three numbers, then columns of the codes 0, 3 and 7, of classes that overlap."""
    g = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = g.normal(size=(len(y), 3)) + 0.7 * y[:, None]
    return np.c_[x, g.choice([0.0, 3.0, 7.0], (len(y), codes))], y


SAMPLERS: dict[str, tuple[dict[str, Any], Any, int]] = {
    "smote": ({}, lambda: over.SMOTE(random_state=4), 0),
    "smote of categories beside numbers": (
        {"codes": [3, 4]}, lambda: over.SMOTENC(categorical_features=[3, 4], random_state=4), 2,
    ),
    "borderline-1": ({"kind": "borderline-1"}, lambda: over.BorderlineSMOTE(random_state=4), 0),
    "borderline-2": (
        {"kind": "borderline-2", "m_neighbors": 7},
        lambda: over.BorderlineSMOTE(kind="borderline-2", m_neighbors=7, random_state=4), 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "own", "codes"), SAMPLERS.values(), ids=SAMPLERS.keys())
def test_it_is_imbalanced_learns_where_classes_have_more_rows_than_neighbours(
    options: Any, own: Any, codes: int
) -> None:
    x, y = rows(60, 25, 9, codes=codes)
    found, labels = SmallClassSMOTE(random_state=4, **options).fit_resample(x, y)
    expected, names = own().fit_resample(x, y)
    assert found.tobytes() == expected.tobytes()
    assert labels.tolist() == names.tolist()
    assert np.bincount(labels).tolist() == [60, 60, 60]


def test_of_categories_alone_it_is_smoten() -> None:
    x, y = rows(40, 20, 8, codes=3)
    x = x[:, 3:]
    found, _ = SmallClassSMOTE(codes=[0, 1, 2], random_state=4).fit_resample(x, y)
    assert found.tobytes() == over.SMOTEN(random_state=4).fit_resample(x, y)[0].tobytes()
    assert set(np.unique(found)) == {0.0, 3.0, 7.0}


def test_a_small_class_has_all_its_rows_for_neighbours() -> None:
    x, y = rows(50, 20, 3)
    sampler = SmallClassSMOTE(random_state=0)
    found, labels = sampler.fit_resample(x, y)
    assert sampler.raised_ == {1: 5, 2: 2}
    assert found[: len(x)].tolist() == x.tolist()
    new, own = found[len(x) :][labels[len(x) :] == 2], x[y == 2]
    assert len(new) == 47
    pairs = set()
    for row in new:  # every new row lies between two rows of the class: |a - row| + |row - b| = |a - b|
        between = [
            (i, j)
            for i in range(3)
            for j in range(i)
            if abs(
                sum((own[i] - row) ** 2) ** 0.5 + sum((row - own[j]) ** 2) ** 0.5 - sum((own[i] - own[j]) ** 2) ** 0.5
            )
            < 1e-9
        ]
        assert between
        pairs.update(between)
    assert pairs == {(1, 0), (2, 0), (2, 1)}
    with pytest.raises(ValueError, match="n_neighbors"):  # the package by itself cannot
        over.SMOTE(random_state=0).fit_resample(x, y)


def test_codes_are_never_interpolated() -> None:
    x, y = rows(50, 20, 3, codes=2)
    found, _ = SmallClassSMOTE(codes=[3, 4], random_state=0).fit_resample(x, y)
    assert set(np.unique(found[:, 3:])) == {0.0, 3.0, 7.0}
    as_numbers, _ = SmallClassSMOTE(random_state=0).fit_resample(x, y)
    assert len(np.unique(as_numbers[:, 3:])) > 10


def test_the_ratio_raises_only_classes_below_it() -> None:
    x, y = rows(50, 20, 6)
    _, labels = SmallClassSMOTE(ratio=0.3, random_state=0).fit_resample(x, y)
    assert np.bincount(labels).tolist() == [50, 20, 15]


def test_a_class_without_rows_in_danger_is_raised_by_smote(caplog: pytest.LogCaptureFixture) -> None:
    x, y = rows(60, 25, 9)
    x[y == 2] += 50  # far from all others
    with caplog.at_level(logging.WARNING):
        found, labels = SmallClassSMOTE(kind="borderline-1", random_state=0).fit_resample(x, y)
    assert np.bincount(labels).tolist() == [60, 60, 60]
    assert [r.message for r in caplog.records] == [
        "borderline SMOTE adds no rows to class index 2, of which no row is in danger; SMOTE adds them"
    ]
    by_package = over.BorderlineSMOTE(random_state=0).fit_resample(x, y)[1]
    assert np.bincount(by_package).tolist() == [60, 60, 9]
    plain = over.SMOTE(sampling_strategy={2: 60}, random_state=0).fit_resample(x, y)[0]
    assert found[labels == 2].tolist() == plain[60 + 25 :].tolist()


@pytest.mark.parametrize(
    ("options", "sizes", "message"),
    [
        ({}, (9, 8, 1), "SMOTE needs two rows of a class to interpolate, got 1 of class 2; repeat rows instead"),
        ({"kind": "svm"}, (9, 8, 7), "kind must be one of smote, borderline-1, borderline-2, got 'svm'; choose one"),
        ({"kind": "borderline-1", "codes": [0]}, (9, 8, 7), "has no form for columns of categories, got 1; take kind"),
    ],
)
def test_what_it_cannot_do_is_one_line(options: Any, sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmallClassSMOTE(**options).fit_resample(*rows(*sizes))
