"""Random forests and nearest neighbours as methods: scikit-learn's own, with codes as columns and the prior off."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from longtail.data import Examples, Splits, load
from longtail.engine import Recipe
from longtail.engine.randomness import derived
from longtail.learners.fitted import matrix
from longtail.methods import method
from longtail.runs.train import train

pytest.importorskip("skops.io")
pd = pytest.importorskip("pandas")

CLASSES = ("common", "rare", "rarest")
KNOBS = "n_estimators=8,min_samples_leaf=2"
ROWS = 400


@cache
def table() -> Splits:
    """Two numbers, a column of 8 categories and one of 300; the class follows the first category and a number."""
    from longtail.data.prepare.table import TablePreparation

    parts: list[Examples] = []
    preparation: Any = None
    for seed, size in ((0, ROWS), (1, 100)):
        g = np.random.default_rng(seed)
        small, large, number = g.integers(0, 8, size), np.arange(size) % 300, g.normal(size=size)
        y = np.digitize(number + small * 3 % 8 * 0.6 + 0.5 * g.normal(size=size), [3.0, 4.5])
        rows = pd.DataFrame({
            "a": number, "b": g.normal(5, 3, size), "c": np.array(list("stuvwxyz"))[small],
            "d": [f"k{i}" for i in large],
        })  # fmt: skip
        preparation = preparation or TablePreparation.fit(rows)
        parts.append(Examples(preparation(rows), torch.from_numpy(y), CLASSES))
    assert (preparation.numeric, preparation.categories) == (2, (9, 301))
    return Splits("table", parts[0], parts[1], preparation=preparation, facts={"rows": ROWS})


def columns(inputs: torch.Tensor, *, others: bool) -> Any:
    """By hand: numbers, the large column of codes as a number or not at all, indicators of the small one's codes."""
    numbers = inputs[:, [0, 1, 3] if others else [0, 1]].double().numpy()
    seen = table().train.inputs[:, 2].unique().long()
    return np.c_[numbers, np.eye(9)[inputs[:, 2].long()][:, seen]]


def log_floored(probs: Any) -> Any:
    return np.log(np.maximum(probs, 1e-12))


def scores(key: str, splits: Splits, folder: Path, **options: Any) -> Any:
    """What decides: scores after the method's rule."""
    found = train(key, splits, folder=folder, **options).predictions()
    return found.get("adjusted_scores", found["scores"]).numpy()


def expected_forest(weight: Any = None, targets: Any = None, **options: Any) -> Any:
    seed = derived(3, 0, 0, "global") % 2**32
    own = RandomForestClassifier(8, min_samples_leaf=2, random_state=seed, class_weight=weight)
    own.fit(columns(table().train.inputs, others=True), table().train.targets, **options)
    return own.predict_proba(columns(table().test.inputs, others=True))


@pytest.mark.parametrize(("key", "weight"), [("forest", None), ("forest-cw", "balanced")])
def test_a_forest_is_scikit_learns_on_numbers_and_columns_of_codes(key: str, weight: Any, tmp_path: Path) -> None:
    found = scores(f"{key}({KNOBS})", table(), tmp_path, seed=3)
    np.testing.assert_allclose(found, log_floored(expected_forest(weight)), atol=1e-6)


def test_a_forest_takes_sample_weights_and_its_knobs_are_applied(tmp_path: Path) -> None:
    weight = torch.arange(ROWS) % 4 + 0.5
    weighted = replace(table(), train=replace(table().train, sample_weight=weight))
    found = scores(f"forest({KNOBS})", weighted, tmp_path / "weighted", seed=3)
    np.testing.assert_allclose(found, log_floored(expected_forest(sample_weight=weight.numpy())), atol=1e-6)
    assert not np.allclose(found, log_floored(expected_forest()))
    all_columns = scores(f"forest({KNOBS},max_features=1)", table(), tmp_path / "all", seed=3)
    assert not np.allclose(all_columns, log_floored(expected_forest()))


def test_the_prior_is_taken_off_and_a_class_without_shares_stays_last(tmp_path: Path) -> None:
    probs, counts = expected_forest(), np.bincount(table().train.targets)
    assert (probs == 0).any()
    found = scores(f"forest-posthoc({KNOBS},tau=0.5)", table(), tmp_path / "half", seed=3)
    np.testing.assert_allclose(found, log_floored(probs) - 0.5 * np.log(counts / ROWS), atol=1e-5)
    whole = scores(f"forest-posthoc({KNOBS})", table(), tmp_path / "whole", seed=3).argmax(1)
    assert (whole == (probs / counts).argmax(1)).all()
    assert (whole != probs.argmax(1)).any()
    assert (probs[np.arange(len(whole)), whole] > 0).all()


def test_trees_grown_in_several_threads_are_the_same_and_predict_in_one(tmp_path: Path) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            run = train(f"forest({KNOBS})", table(), folder=tmp_path / str(threads))
            assert run.predictor.network._estimator.steps[-1][1].n_jobs is None
            found.append((run.folder / "model.safetensors").read_bytes())
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def votes(weights: str, k: int = 4) -> Any:
    """(N, C) votes by plain loops over all training rows."""
    rows, queries = (columns(part.inputs, others=False) for part in (table().train, table().test))
    found = np.zeros((len(queries), 3))
    for i, query in enumerate(queries):
        distance = [sum((a - b) ** 2 for a, b in zip(query, row, strict=True)) ** 0.5 for row in rows]
        for near in sorted(range(len(rows)), key=distance.__getitem__)[:k]:
            found[i, int(table().train.targets[near])] += 1 if weights == "uniform" else 1 / distance[near]
    return found


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbours_vote_and_balanced_votes_weigh_one_over_the_class(weights: str, tmp_path: Path) -> None:
    counted, sizes = votes(weights), np.bincount(table().train.targets)
    plain = scores(f"knn(k=4,weights={weights!r})", table(), tmp_path / "plain")
    np.testing.assert_allclose(plain, log_floored(counted / counted.sum(1, keepdims=True)), atol=1e-5)
    balanced = scores(f"knn-cw(k=4,weights={weights!r})", table(), tmp_path / "cw")
    weighed = counted / sizes
    np.testing.assert_allclose(balanced, log_floored(weighed / weighed.sum(1, keepdims=True)), atol=1e-5)
    adjusted = scores(f"knn-posthoc(k=4,weights={weights!r})", table(), tmp_path / "posthoc")
    apart = np.where(counted > 0, balanced - adjusted, np.nan)  # one number per row
    assert np.nanmax(np.nanmax(apart, 1) - np.nanmin(apart, 1)) < 1e-5
    assert (balanced.argmax(1) == adjusted.argmax(1)).all()
    assert (balanced.argmax(1) != plain.argmax(1)).any()


def test_features_are_scaled_for_neighbours(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    x, y = g.normal(size=(90, 3)) * (1, 100, 0.01), np.repeat([0, 1, 2], (60, 20, 10))
    x[:, 0] += y
    splits = load(x, y)
    found = scores("knn", splits, tmp_path, recipe=Recipe(epochs=1))
    rows, queries = matrix(splits.train.inputs), matrix(splits.test.inputs)
    mean, deviation = rows.mean(0), rows.std(0)
    own = KNeighborsClassifier().fit((rows - mean) / deviation, splits.train.targets)
    np.testing.assert_allclose(found, log_floored(own.predict_proba((queries - mean) / deviation)), atol=1e-6)


@pytest.mark.parametrize("key", ["forest(n_estimators=3)", "knn(k=9)"])
def test_thresholds_are_those_of_the_strength_that_the_run_names(key: str, tmp_path: Path) -> None:
    splits = replace(table(), val=table().test)
    spec = key.replace("(", "-threshold(")
    run = train(spec, splits, folder=tmp_path / "moved")
    plain, tau = scores(key, splits, tmp_path / "plain"), float(run.predictor.posthoc.tau)
    assert 0 < tau <= 3
    moved = plain - tau * np.log(np.bincount(table().train.targets) / ROWS)
    np.testing.assert_allclose(run.predictions()["adjusted_scores"], moved, atol=1e-5)


class TestRefusals:
    def many(self, rows: int, classes: int = 3, values: int = 1, **options: Any) -> Examples:
        names = tuple(f"{j:05}" for j in range(classes))
        return Examples(torch.zeros(1, values).expand(rows, values), torch.arange(rows) % classes, names, **options)

    @pytest.mark.parametrize("kind", ["", "-cw", "-posthoc", "-threshold"])
    def test_too_many_rows(self, kind: str) -> None:
        forest, knn = method(f"forest{kind}"), method(f"knn{kind}")
        assert forest.refuses(self.many(1_000_000)) is None
        assert "takes at most 1,000,000 training rows, got 1,000,001" in str(forest.refuses(self.many(1_000_001)))
        reason = str(forest.refuses(self.many(100_001, classes=200)))
        assert "takes at most 20,000,000 training rows x classes, got 20,000,200" in reason
        assert knn.refuses(self.many(200_000)) is None
        assert "takes at most 200,000 training rows (each is compared" in str(knn.refuses(self.many(200_001)))
        reason = str(knn.refuses(self.many(50_000, values=2_001)))
        assert "takes at most 100,000,000 numbers in all training rows, got 100,050,000" in reason
        assert "takes at most 4,096 values an example" in str(knn.refuses(self.many(5, values=4_097)))
        assert "takes at most 1,024 values an example" in str(forest.refuses(self.many(5, values=1_025)))

    def test_neighbours_of_weighted_or_too_few_rows(self, tmp_path: Path) -> None:
        assert "needs k training rows or more, got k=6 and 5; lower k" in str(method("knn(k=6)").refuses(self.many(5)))
        weighted = self.many(9, sample_weight=torch.ones(9))
        assert "cannot weigh rows, got sample weights" in str(method("knn").refuses(weighted))
        assert method("forest").refuses(weighted) is None
        with pytest.raises(ValueError, match="cannot weigh rows"):
            train("knn-cw", Splits("few", weighted, self.many(3)), folder=tmp_path, recipe=Recipe(epochs=1))

    def test_columns_of_codes_that_are_too_many(self) -> None:
        from longtail.methods.estimators.classifiers import Columns, dense_one_hot

        with pytest.raises(ValueError, match=r"at most 200,000,000 numbers, got 1,000,000 x 250; leave out columns"):
            dense_one_hot(Columns(0, (250,), True), 1_000_000, others=True)
        with pytest.raises(ValueError, match="no column has numbers or at most 255 codes; take trees"):
            dense_one_hot(Columns(0, (256,), True), 10, others=False)

    @pytest.mark.parametrize(
        ("spec", "message"),
        {
            "forest(n_estimators=0)": r"n_estimators must be an integer in \[1, 10000\], got 0",
            "forest(max_features='log')": r'max_features must be "sqrt" or a share in \(0, 1\], got',
            "forest(max_features=0)": r'max_features must be in \(0, 1\], got 0',
            "forest-cw(min_samples_leaf=0)": "min_samples_leaf must be an integer in",
            "knn(k=0)": r"k must be an integer in \[1, 10000\], got 0",
            "knn-cw(weights='near')": 'weights must be "uniform" or "distance", got',
        }.items(),
    )  # fmt: skip
    def test_knobs_out_of_range(self, spec: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            method(spec)
