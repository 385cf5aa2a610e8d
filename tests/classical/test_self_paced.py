"""The self-paced ensemble against one whole fit by plain loops, and what its bins draw."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from longtail.classical.self_paced import MOST_SEED, SelfPacedEnsemble, draws_by_bin

N, BINS = 6, 4


def rows() -> tuple[Any, Any]:
    """Classes of 90, 40 and 12 rows that overlap."""
    g = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], (90, 40, 12))
    x = g.normal(size=(len(y), 2))
    x[:, 0] += (y == "b") * 1.0 + (y == "c") * 2.0
    return x, y


X, Y = rows()


def stump() -> Any:
    return DecisionTreeClassifier(max_depth=2)


def counts_by_hand(sizes: list[int], means: list[float], alpha: float, total: int, replacement: bool) -> list[int]:
    """Weights of the bins, integer parts, and the rest one by one to the fullest bins with rows left."""
    weights = [1 / (h + alpha) if size else 0.0 for size, h in zip(sizes, means, strict=True)]
    counts = [int(total * w / sum(weights)) for w in weights]
    limits = [(total if size else 0) if replacement else size for size in sizes]
    counts = [min(count, limit) for count, limit in zip(counts, limits, strict=True)]
    order = sorted(range(len(sizes)), key=lambda b: (-sizes[b], b))
    while sum(counts) < total:
        for b in order:
            if sum(counts) < total and counts[b] < limits[b]:
                counts[b] += 1
    return counts


def fit_by_hand(seed: int, replacement: bool) -> tuple[list[list[int]], list[list[float]]]:
    """The rows of every member, and the mean probabilities of all rows, by loops over rows, bins and members."""
    random = np.random.RandomState(seed)
    names = sorted(set(Y.tolist()))
    fewest = min(Counter(Y.tolist()).values())
    chosen: list[list[int]] = []
    members: list[list[list[float]]] = []
    for i in range(N):
        own: list[int] = []
        for name in names:
            mine = [r for r in range(len(Y)) if Y[r] == name]
            if len(mine) == fewest:
                own += list(random.choice(mine, fewest, replace=True)) if replacement else mine
                continue
            hard = {}
            for r in mine:
                mean = sum(m[r][names.index(name)] for m in members) / i if i else 0.0
                hard[r] = abs(1 - mean)
            low, high = min(hard.values()), max(hard.values())
            if i == 0 or low == high:
                own += list(random.choice(mine, fewest, replace=replacement))
                continue
            bins: list[list[int]] = [[] for _ in range(BINS)]
            for r in mine:
                bins[min(int((hard[r] - low) / ((high - low) / BINS)), BINS - 1)].append(r)
            means = [sum(hard[r] for r in b) / len(b) if b else 0.0 for b in bins]
            alpha = math.tan(math.pi / 2 * i / (N - 1))
            wanted = counts_by_hand([len(b) for b in bins], means, alpha, fewest, replacement)
            for b, count in zip(bins, wanted, strict=True):
                own += list(random.choice(b, count, replace=replacement)) if count else []
        tree = stump().set_params(random_state=random.randint(MOST_SEED))
        tree.fit(X[own], [names.index(Y[r]) for r in own])
        members.append([[float(p) for p in row] for row in tree.predict_proba(X)])
        chosen.append([int(r) for r in own])
    mean = [[sum(m[r][j] for m in members) / N for j in range(len(names))] for r in range(len(Y))]
    return chosen, mean


@pytest.mark.parametrize("replacement", [False, True])
def test_a_whole_fit_is_that_of_plain_loops(replacement: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, mean = fit_by_hand(3, replacement)
    drawn: list[list[int]] = []
    choose = SelfPacedEnsemble._chosen

    def recorded(self: Any, *arguments: Any) -> Any:
        drawn.append((found := choose(self, *arguments)).tolist())
        return found

    monkeypatch.setattr(SelfPacedEnsemble, "_chosen", recorded)
    ours = SelfPacedEnsemble(stump(), n_estimators=N, bins=BINS, replacement=replacement, random_state=3).fit(X, Y)
    assert drawn == chosen
    np.testing.assert_allclose(ours.predict_proba(X), mean, atol=1e-12)
    assert ours.predict(X).tolist() == [ours.classes_[int(np.argmax(row))] for row in mean]
    everyone = np.flatnonzero(Y == "c").tolist()
    assert all((sorted(rows[-12:]) == everyone) != replacement for rows in drawn)
    assert all(Counter(Y[rows].tolist()) == {"a": 12, "b": 12, "c": 12} for rows in drawn)


@pytest.mark.parametrize("replacement", [False, True])
def test_bins_share_as_by_hand(replacement: bool) -> None:
    g = np.random.default_rng(1)
    for _ in range(200):
        sizes = g.integers(0, 30, 5) * (g.random(5) < 0.7)
        if sizes.sum() < 2:
            continue
        hard, alpha = np.sort(g.random(5)) * (sizes > 0), float(g.choice([0.05, 1.0, 30.0]))
        total = int(g.integers(1, sizes.sum()))
        found = draws_by_bin(sizes, hard, alpha, total, replacement=replacement).tolist()
        assert found == counts_by_hand(sizes.tolist(), hard.tolist(), alpha, total, replacement)
        assert sum(found) == total
        assert replacement or all(found <= sizes)


def test_easy_rows_come_first_and_all_bins_count_alike_at_the_end() -> None:
    sizes, hard = np.array([1000, 1000, 1000, 1000]), np.array([0.1, 0.3, 0.6, 0.9])
    first, last = (draws_by_bin(sizes, hard, alpha, 400).tolist() for alpha in (0.01, math.tan(math.pi / 2)))
    assert first == sorted(first, reverse=True)
    assert first[0] > 5 * first[3]
    assert last == [100, 100, 100, 100]


def test_equal_hardness_and_one_member_draw_at_random() -> None:
    flat = SelfPacedEnsemble(stump(), n_estimators=1, random_state=0).fit(X, Y)
    assert len(flat.estimators_) == 1
    constant = SelfPacedEnsemble(
        DecisionTreeClassifier(max_depth=1, min_samples_leaf=36), n_estimators=3, random_state=0
    )
    assert constant.fit(X, Y).predict_proba(X).tolist() == pytest.approx(np.full((len(Y), 3), 1 / 3))


@pytest.mark.parametrize("name", ["n_estimators", "bins"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be >= 1, got 0; choose a value in that range"):
        SelfPacedEnsemble(**{name: 0}).fit(X, Y)


@pytest.mark.slow
def test_it_is_a_scikit_learn_classifier() -> None:
    assert check_estimator(SelfPacedEnsemble(n_estimators=3, random_state=0), on_skip=None)
