"""Classifiers of any depth as bytes: they answer the same, and what cannot be saved is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier, IsolationForest, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from longtail.facts import trusted

skops = pytest.importorskip("skops.io")
pytest.importorskip("imblearn")

from imblearn.over_sampling import SMOTE  # noqa: E402

from trusted_models import MODELS, SEED, X, Y, answers, fitted  # noqa: E402

each = pytest.mark.parametrize("name", MODELS)


def saved(name: str) -> bytes:
    return trusted.dumps(fitted(name))


@each
def test_read_back_it_answers_the_same(name: str) -> None:
    model, wider = fitted(name), 3 * X
    before = answers(model)
    again = trusted.loads(saved(name), "the model")
    assert type(again) is type(model)
    assert answers(again) == before == answers(model)
    assert answers(again, wider) == answers(model, wider)
    assert trusted.dumps(again) == saved(name) == trusted.dumps(model)
    assert trusted.storable(model) is None


def test_equal_fits_have_the_same_bytes_and_nothing_of_fitting_alone() -> None:
    for name in ("balanced forest", "a vote", "neighbours"):
        assert trusted.dumps(MODELS[name]().fit(X, Y)) == saved(name)
    assert trusted.loads(saved("balanced forest"), "the model").pipelines_ == []
    assert trusted.loads(saved("forest with a generator"), "the model").random_state is None
    sampler = trusted.loads(saved("smote"), "the model").steps[0][1]
    assert sampler.get_params() == SMOTE(random_state=SEED).get_params()
    assert not hasattr(sampler, "nn_k_")


def test_a_forest_is_a_small_file_and_ties_of_float32_go_the_same_way() -> None:
    model = RandomForestClassifier(60, random_state=SEED).fit(np.tile(X, (4, 1)), np.tile(Y, 4))
    data = trusted.dumps(model)
    assert len(data) < len(skops.dumps(model)) / 20
    tree = fitted("tree")
    cuts = tree.tree_.threshold[tree.tree_.feature >= 0]
    around = np.concatenate([np.nextafter(cuts, way).astype(np.float32) for way in (-np.inf, np.inf, 0)])
    rows = np.repeat(around[:, None], 4, axis=1)
    again = trusted.loads(saved("tree"), "the model")
    assert (again.apply(rows) == tree.apply(rows)).all()
    assert again.get_depth() == tree.get_depth()
    assert (again.decision_path(X) != tree.decision_path(X)).nnz == 0


class Odd:
    def __getstate__(self) -> Any:
        raise RuntimeError("no state\nand more")


def test_what_cannot_be_saved_is_named_without_an_error() -> None:
    assert trusted.storable(IsolationForest(n_estimators=2).fit(X)) == (
        "sklearn.ensemble._iforest.IsolationForest (ObjectNode)"
    )
    inside = make_pipeline(StandardScaler(), BaggingClassifier(NearestCentroid(), n_estimators=2)).fit(X, Y)
    assert trusted.storable(inside) == "sklearn.neighbors._nearest_centroid.NearestCentroid (ObjectNode)"
    assert trusted.storable(Odd()) == "test_trusted_depth.Odd (no state)"
    sparse = make_pipeline(OneHotEncoder(), SVC()).fit(X[:, 3:], Y)
    assert trusted.storable(sparse) == "sklearn.svm._classes.SVC (its support vectors are of another kind)"
    for model, reason in (
        (DecisionTreeClassifier().fit(X, np.c_[Y, Y]), "a saved tree must predict one target"),
        (KNeighborsClassifier(metric="canberra").fit(X, Y), "its distance is of another kind"),
        (SVC(kernel="precomputed").fit(X @ X.T, Y), "its support vectors are of another kind"),
        (OneHotEncoder(min_frequency=50).fit(X[:, 3:]), "it joins rare categories, which is not read"),
    ):
        assert trusted.storable(model) == f"{type(model).__module__}.{type(model).__name__} ({reason})"
        with pytest.raises(ValueError, match=reason):
            trusted.dumps(model)
