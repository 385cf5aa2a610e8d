"""COG under logistic regression as methods: by hand on a table, and what its probabilities assume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from longtail.data import Examples, Splits, load
from longtail.engine import Recipe
from longtail.engine.randomness import derived
from longtail.methods import method
from longtail.runs.run import Run
from longtail.runs.train import train

pytest.importorskip("skops.io")

RECIPE = Recipe(epochs=1)


def ring(sizes: tuple[int, int]) -> Splits:
    """A large class on four sides of a rare one."""
    g = np.random.default_rng(0)
    side = g.integers(0, 4, sizes[0]) * np.pi / 2
    x = np.r_[3 * np.c_[np.cos(side), np.sin(side)], np.zeros((sizes[1], 2))] + 0.7 * g.normal(size=(sum(sizes), 2))
    return load(x, np.repeat([0, 1], sizes), val=None)


DATA = ring((600, 60))


def parts(data: Splits) -> tuple[Any, Any, Any]:
    assert isinstance(data.train, Examples)
    assert isinstance(data.test, Examples)
    scaler = StandardScaler().fit(data.train.inputs.double().numpy())
    x, new = (scaler.transform(rows.inputs.double().numpy()) for rows in (data.train, data.test))
    return x, new, data.train.targets.numpy()


def scores(run: Run) -> Any:
    return run.predictions()["scores"].double().numpy()


@pytest.mark.parametrize(("key", "copies"), [("logistic-cog", 1), ("logistic-cog-os", None)])
def test_is_k_means_and_logistic_regression_by_hand(key: str, copies: int | None, tmp_path: Path) -> None:
    run = train(f"{key}(clusters=4)", DATA, folder=tmp_path, recipe=RECIPE)
    x, new, y = parts(DATA)
    seed = derived(0, 0, 0, "global") % 2**32
    starts = np.random.RandomState(seed).randint(2**31 - 1)
    clusters = KMeans(4, n_init=10, random_state=starts).fit(x[y == 0]).labels_
    times = round((y == 0).sum() / 4 / (y == 1).sum()) if copies is None else copies
    assert times == (copies or 2)  # of about 120 rows in a cluster and 48 of the rare class
    rows, labels = np.r_[x[y == 0], np.repeat(x[y == 1], times, axis=0)], np.r_[clusters, [4] * times * (y == 1).sum()]
    parted = LogisticRegression(max_iter=1000).fit(rows, labels).predict_proba(new)
    expected = np.stack([parted[:, :4].sum(1), parted[:, 4]], axis=1)
    np.testing.assert_allclose(np.exp(scores(run)), expected, atol=1e-3)
    # planes alone see nothing of the middle
    plain = train("logistic", DATA, folder=tmp_path / "plain", recipe=RECIPE)
    assert run.scores["balanced_accuracy"] > plain.scores["balanced_accuracy"] + 0.3
    prior = run.predictor.prior
    counts = DATA.class_counts.double()
    counts[1] *= times
    assert prior is not None or copies == 1
    if prior is not None:
        assert (prior.double() / prior.sum()).tolist() == pytest.approx((counts / counts.sum()).tolist())


def test_one_cluster_is_logistic_bit_for_bit(tmp_path: Path) -> None:
    plain = train("logistic", DATA, folder=tmp_path / "plain", recipe=RECIPE)
    for key in ("logistic-cog(clusters=1)", "logistic-cog-os(clusters=1)"):
        run = train(key, DATA, folder=tmp_path / key, recipe=RECIPE)
        assert run.predictions()["scores"].equal(plain.predictions()["scores"])


def test_refusals() -> None:
    for text, message in {
        "clusters=0": r"clusters must be an integer in \[1, 100\], got 0",
        "clusters=2.5": r"clusters must be an integer in \[1, 100\], got 2.5",
        "C=-1.0": "C must be > 0, got -1.0",
    }.items():
        with pytest.raises(ValueError, match=message):
            method(f"logistic-cog({text})")
