"""Contributions of boosted trees against Shapley values over all subsets of columns, each by walking the trees."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from longtail.learners.contributions import contributions_of

COLUMNS = 5
CATEGORIES = (1, 3)


def data(classes: int = 3) -> tuple[Any, Any]:
    """Numbers and categories that interact, and missing cells; the last column is never split by."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, COLUMNS))
    x[:, 1], x[:, 3] = draw.integers(0, 6, 400), draw.integers(0, 40, 400)
    score = np.where(x[:, 1] % 2 == 0, x[:, 0], -x[:, 2]) + (x[:, 3] % 3)
    x[draw.random(x.shape) < 0.1] = np.nan
    x[:, 4] = 1.0
    return x, np.digitize(score, [0.5, 1.8][: classes - 1])


def fitted(classes: int = 3, **knobs: Any) -> Any:
    options = {"max_iter": 3, "max_leaf_nodes": 7, "min_samples_leaf": 8, "early_stopping": False, "random_state": 0}
    model = HistGradientBoostingClassifier(categorical_features=list(CATEGORIES), **(options | knobs))
    return model.fit(*data(classes))


MODEL = fitted()


def new_rows() -> Any:
    """Some training rows, one of missing cells, one of categories that training did not have."""
    x = data()[0][:8].copy()
    x[1] = np.nan
    x[2, [1, 3]] = 77
    return x


def walked(model: Any, row: Any, known: set[int], score: int, group: list[int]) -> float:
    """The score where the columns of these groups are known: elsewhere the mean of both ways, by training rows."""
    order = [*CATEGORIES, *(d for d in range(COLUMNS) if d not in CATEGORIES)]  # scikit-learn's
    codes = {d: sorted({v for v in data()[0][:, d].tolist() if v == v}) for d in CATEGORIES}

    def walk(tree: Any, place: int) -> float:
        node = tree.nodes[place]
        if node["is_leaf"]:
            return float(node["value"])
        column, ways = order[node["feature_idx"]], (int(node["left"]), int(node["right"]))
        if group[column] not in known:
            counts = [int(tree.nodes[way]["count"]) for way in ways]
            return sum(n / sum(counts) * walk(tree, way) for n, way in zip(counts, ways, strict=True))
        value = float(row[column])
        if column in CATEGORIES and value not in codes[column]:
            value = math.nan
        if math.isnan(value):
            left = bool(node["missing_go_to_left"])
        elif node["is_categorical"]:
            code = codes[column].index(value)
            left = bool(int(tree.raw_left_cat_bitsets[node["bitset_idx"]][code // 32]) >> (code % 32) & 1)
        else:
            left = (codes[column].index(value) if column in CATEGORIES else value) <= float(node["num_threshold"])
        return walk(tree, ways[0] if left else ways[1])

    trees = [iteration[score] for iteration in model._predictors]
    return float(model._baseline_prediction[0][score]) + sum(walk(tree, 0) for tree in trees)


def shapley(model: Any, row: Any, score: int, group: list[int]) -> list[float]:
    players = sorted(set(group))
    size, found = len(players), []
    values = {
        chosen: walked(model, row, set(chosen), score, group)
        for k in range(size + 1) for chosen in itertools.combinations(players, k)
    }  # fmt: skip
    for one in players:
        others = [p for p in players if p != one]
        total = 0.0
        for k in range(size):
            weight = math.factorial(k) * math.factorial(size - 1 - k) / math.factorial(size)
            for chosen in itertools.combinations(others, k):
                total += weight * (values[tuple(sorted((*chosen, one)))] - values[chosen])
        found.append(total)
    return found


@pytest.mark.parametrize("group", [[0, 1, 2, 3, 4], [0, 1, 0, 2, 1]], ids=["columns", "groups of columns"])
def test_they_are_shapley_values_over_all_subsets(group: list[int]) -> None:
    x = new_rows()
    found = contributions_of(MODEL, np.array(group), max(group) + 1)
    assert found is not None
    for score in (0, 1):
        values = found(x, score)
        for row, own in zip(x, values, strict=True):
            np.testing.assert_allclose(own, shapley(MODEL, row, score, group), rtol=0, atol=1e-12)
    if len(set(group)) == COLUMNS:
        assert not found(x, 0)[:, 4].any()  # exactly 0: no tree reads it


def test_the_trees_have_what_the_test_is_about() -> None:
    nodes = np.concatenate([tree.nodes for some in MODEL._predictors for tree in some])
    inner = nodes[nodes["is_leaf"] == 0]
    assert inner["is_categorical"].any()
    assert not inner["is_categorical"].all()
    assert len(set(inner["missing_go_to_left"].tolist())) == 2
    nodes = np.concatenate([some[1].nodes for some in MODEL._predictors])  # a category that is not known goes left
    assert (nodes["is_categorical"] & nodes["missing_go_to_left"] & ~nodes["is_leaf"].astype(bool)).any()


@pytest.mark.parametrize("classes", [2, 3])
def test_they_add_up_to_the_score_and_start_from_the_mean_of_training(classes: int) -> None:
    model = fitted(classes, max_iter=20, max_leaf_nodes=31, min_samples_leaf=2)  # columns repeat on a path
    found = contributions_of(model, np.arange(COLUMNS), COLUMNS)
    assert found is not None
    x, scores = new_rows(), model._raw_predict(new_rows())
    for k in range(scores.shape[1]):
        np.testing.assert_allclose(found(x, k).sum(1) + found.expected[k], scores[:, k], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.expected, model._raw_predict(data()[0]).mean(0), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.scores(x), scores)


def test_steps_before_the_trees_are_followed() -> None:
    x, y = np.nan_to_num(data()[0]), data()[1]
    plain = HistGradientBoostingClassifier(max_iter=2, random_state=0, early_stopping=False)
    piped = make_pipeline(StandardScaler(), plain).fit(x, y)
    found = contributions_of(piped, np.arange(COLUMNS), COLUMNS)
    assert found is not None
    total = found(x[:9], 1).sum(1) + found.expected[1]
    np.testing.assert_allclose(total, plain._raw_predict(piped[:-1].transform(x[:9]))[:, 1], rtol=0, atol=1e-10)


def test_rows_in_several_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from longtail.learners.contributions import paths

    found = contributions_of(MODEL, np.arange(COLUMNS), COLUMNS)
    assert found is not None
    whole = found(new_rows(), 1)
    monkeypatch.setattr(paths, "VALUES", 1)
    np.testing.assert_allclose(found(new_rows(), 1), whole, rtol=0, atol=1e-15)


def test_a_node_without_rows_is_refused() -> None:
    model = fitted(max_iter=1)
    model._predictors[0][0].nodes["count"][-1] = 0
    found = contributions_of(model, np.arange(COLUMNS), COLUMNS)
    assert found is not None
    with pytest.raises(ValueError, match="no training rows"):
        found(new_rows(), 0)
