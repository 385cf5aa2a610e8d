"""COG: what it cuts and copies, what it decides, and a boundary that the classifier alone cannot have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from longtail.classical import LocalDecomposition
from longtail.classical.local_decomposition import planned_clusters, planned_copies
from longtail.facts import trusted

APART = 3.0
SIZES = (1600, 400, 200)
"""A common class at -3 and 3 on the first axis, a rarer one at 0, the rarest at 3 on the second."""


def mixture(seed: int, sizes: tuple[int, ...] = SIZES) -> tuple[Any, Any]:
    chance = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], sizes)
    x = chance.normal(size=(len(y), 2))
    x[y == 0, 0] += APART * chance.choice([-1, 1], sizes[0])
    x[y == 2, 1] += APART
    return x, y


def joint(x: Any) -> Any:
    """pi_y p(x | y) up to a factor, from the definition of the mixture."""

    def bump(a: float, b: float) -> Any:
        return np.exp(-((x[:, 0] - a) ** 2 + (x[:, 1] - b) ** 2) / 2)

    shares = [size / sum(SIZES) for size in SIZES]
    common = (bump(-APART, 0) + bump(APART, 0)) / 2
    return np.stack([shares[0] * common, shares[1] * bump(0, 0), shares[2] * bump(0, APART)], axis=1)


AXIS = np.linspace(-8, 8, 161)
GRID = np.stack(np.meshgrid(AXIS, AXIS), axis=-1).reshape(-1, 2)
MASS = joint(GRID) / joint(GRID).sum()


def error(decided: Any) -> float:
    """The exact error of decisions on the grid."""
    return 1 - float(MASS[np.arange(len(GRID)), decided].sum())


LEAST = error(MASS.argmax(1))
TRAIN = mixture(0)


class TestTheBayesBoundary:
    @pytest.mark.parametrize("decide", ["cluster", "class"])
    def test_is_reached_by_cog_and_not_by_planes_alone(self, decide: str) -> None:
        planes = LogisticRegression().fit(*TRAIN).predict(GRID)
        cog = LocalDecomposition(LogisticRegression(), clusters={0: 2}, decide=decide, random_state=0).fit(*TRAIN)
        assert error(planes) > LEAST + 0.05
        assert error(cog.predict(GRID)) < LEAST + 0.004
        assert np.bincount(cog.parents_).tolist() == [2, 1, 1]

    def test_by_the_rule_too(self) -> None:
        cog = LocalDecomposition(LogisticRegression(), decide="class", random_state=0).fit(*TRAIN)
        assert np.bincount(cog.parents_).tolist() == [8, 2, 1]
        assert error(cog.predict(GRID)) < LEAST + 0.01


def rule(sizes: tuple[int, ...], most: int) -> tuple[list[int], list[int]]:
    """K(i) and r(j) by loops, from the formula."""
    least = min(size for size in sizes if size)
    pieces = [max(1, min(round(n / least), most, math.floor(n / 5))) for n in sizes]
    planned = sorted(n / k for n, k in zip(sizes, pieces, strict=True) for _ in range(k) if k > 1)
    copies = [1] * len(sizes)
    if planned:
        middle = (planned[(len(planned) - 1) // 2] + planned[len(planned) // 2]) / 2
        copies = [max(1, round(middle / n)) if k == 1 and n else 1 for n, k in zip(sizes, pieces, strict=True)]
    return pieces, copies


class TestTheRule:
    @pytest.mark.parametrize("sizes", [(1000, 10), (100, 40, 20), (50, 50), (9, 1), (700, 300, 4, 1), (80, 0, 3)])
    @pytest.mark.parametrize("most", [1, 3, 10])
    def test_is_the_formula(self, sizes: tuple[int, ...], most: int) -> None:
        n = np.array(sizes, dtype=float)
        pieces = planned_clusters(n, most)
        assert (pieces.tolist(), planned_copies(n, pieces).tolist()) == rule(sizes, most)

    def test_of_known_sizes(self) -> None:
        assert rule((1000, 10), 10) == ([10, 1], [1, 10])
        assert rule((100, 40, 20), 10) == ([5, 2, 1], [1, 1, 1])
        assert rule((9, 1), 10) == ([1, 1], [1, 1])


class TestTheClusters:
    def test_are_k_means_inside_the_class(self) -> None:
        x, y = mixture(1, (60, 20, 10))
        cog = LocalDecomposition(LogisticRegression(), clusters={0: 2}, random_state=0).fit(x, y)
        # two far pieces: the sign of the first number tells them, up to the order of their numbers
        sides = (x[y == 0, 0] > 0).astype(int)
        by_hand = [LogisticRegression().fit(x, np.r_[side, y[y > 0] + 1]) for side in (sides, 1 - sides)]
        probabilities = cog.estimator_.predict_proba(x)
        best = min(by_hand, key=lambda model: np.abs(model.predict_proba(x) - probabilities).max())
        np.testing.assert_allclose(probabilities, best.predict_proba(x), atol=1e-4)
        sums = np.stack([probabilities[:, 0] + probabilities[:, 1], probabilities[:, 2], probabilities[:, 3]], axis=1)
        assert np.array_equal(cog.predict_proba(x), sums)

    def test_one_cluster_is_the_classifier_itself_bit_for_bit(self) -> None:
        x, y = mixture(1, (60, 20, 10))
        plain = LogisticRegression().fit(x, y)
        for oversample in (None, "auto"):
            cog = LocalDecomposition(LogisticRegression(), clusters=1, oversample=oversample).fit(x, y)
            assert cog.predict_proba(x).tobytes() == plain.predict_proba(x).tobytes()
            assert cog.predict(x).tolist() == plain.predict(x).tolist()

    def test_copies_are_weights(self) -> None:
        x, y = mixture(1, (60, 20, 10))
        model = LogisticRegression(tol=1e-8)
        copied = LocalDecomposition(model, clusters={0: 2}, oversample={2: 4}, random_state=0).fit(x, y)
        weighted = LocalDecomposition(model, clusters={0: 2}, random_state=0)
        weighted.fit(x, y, sample_weight=np.where(y == 2, 4.0, 1.0))
        np.testing.assert_allclose(copied.predict_proba(x), weighted.predict_proba(x), atol=1e-5)
        plain = LocalDecomposition(model, clusters={0: 2}, random_state=0).fit(x, y)
        assert copied.predict_proba(x)[:, 2].mean() > plain.predict_proba(x)[:, 2].mean() + 0.01

    def test_equal_rows_give_fewer_clusters_than_asked_for_without_a_warning(self) -> None:
        x = np.repeat([[0.0], [1.0], [5.0]], (10, 10, 5), axis=0)
        cog = LocalDecomposition(LogisticRegression(), clusters={0: 7}).fit(x, np.repeat([0, 1], (20, 5)))
        assert cog.parents_.tolist() == [0, 0, 1]

    def test_the_seed_decides_and_names_of_classes_may_be_anything(self) -> None:
        x, y = mixture(2, (200, 30, 20))
        names = np.array(["ok", "odd", "fraud"])[y]
        one, same, other = (
            LocalDecomposition(LogisticRegression(), random_state=seed).fit(x, names).predict_proba(x)
            for seed in (0, 0, 1)
        )
        assert one.tobytes() == same.tobytes()
        assert one.tobytes() != other.tobytes()
        by_name = LocalDecomposition(LogisticRegression(), clusters={"ok": 2}, random_state=0).fit(x, names)
        assert by_name.classes_[by_name.parents_].tolist() == ["fraud", "odd", "ok", "ok"]


def test_the_predicted_cluster_and_the_largest_sum_can_differ() -> None:
    class Fixed(LogisticRegression):  # type: ignore[misc]
        def predict_proba(self, X: Any) -> Any:
            return np.tile([0.2, 0.2, 0.2, 0.4], (len(X), 1))

        def predict(self, X: Any) -> Any:
            return np.full(len(X), 3)

    x, y = np.arange(20.0)[:, None], np.repeat([0, 1], (15, 5))
    found = [
        LocalDecomposition(Fixed(), clusters={0: 3}, decide=decide, random_state=0).fit(x, y)
        for decide in ("cluster", "class")
    ]
    assert [model.predict(x[:1]).item() for model in found] == [1, 0]
    assert found[0].predict_proba(x[:1]) == pytest.approx(np.array([[0.6, 0.4]]))


def test_a_classifier_without_probabilities_decides_by_clusters() -> None:
    x, y = mixture(1, (60, 20, 10))
    cog = LocalDecomposition(RidgeClassifier(), random_state=0).fit(x, y)
    assert not hasattr(cog, "predict_proba")
    assert set(cog.predict(x)) <= {0, 1, 2}


def test_is_saved_and_read_back() -> None:
    pytest.importorskip("skops.io")
    x, y = mixture(1, (60, 20, 10))
    model = make_pipeline(StandardScaler(), LocalDecomposition(LogisticRegression(), random_state=0)).fit(x, y)
    again = trusted.loads(trusted.dumps(model), "the model")
    assert again.predict_proba(x).tobytes() == model.predict_proba(x).tobytes()
    assert again.predict(x).tobytes() == model.predict(x).tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 0}, "clusters must be an integer >= 1, got 0"),
        ({"clusters": {0: 0}}, "clusters[0] must be an integer >= 1, got 0"),
        ({"clusters": {7: 2}}, "clusters must name classes that have rows, got 7; correct the name"),
        ({"oversample": {"x": 2}}, "oversample must name classes that have rows, got 'x'; correct the name"),
        ({"oversample": "often"}, "oversample must be \"auto\" or None, got 'often'; choose one of these"),
        ({"decide": "sum"}, 'decide must be "cluster" or "class", got \'sum\'; choose one of these'),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        LocalDecomposition(LogisticRegression(), **arguments).fit(*mixture(1, (60, 20, 10)))
    assert str(error.value).startswith(message)


def test_weights_for_a_classifier_that_takes_none() -> None:
    x, y = mixture(1, (60, 20, 10))
    inside = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(
        ValueError, match="estimator must take sample_weight for rows with weights, got Pipeline; leave"
    ):
        LocalDecomposition(inside).fit(x, y, sample_weight=np.ones(90))


def test_is_a_classifier_as_scikit_learn_checks_them() -> None:
    check_estimator(LocalDecomposition(LogisticRegression(), oversample="auto", random_state=0), on_skip=None)
