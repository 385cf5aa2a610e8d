"""The probability of a wrong label against plain loops, and what it must do whatever the numbers."""

import math

import numpy as np
from label_cases import random_case
from tests.cases import cases

from longtail.labels.class_sizes import rows_needed
from longtail.labels.posterior import (
    LEVEL,
    MARGIN_ROWS,
    ORDERS,
    PRIOR_ROWS,
    RATES,
    STEPS,
    TEMPERATURES,
    _beats_random_orders,
    posterior,
)


def by_loops(labels: list[int], p: list[list[float]], aum: list[float] | None) -> list[float]:
    """P(wrong) of every row, written from the docstring."""
    n, size = len(labels), len(p[0])
    sizes = [labels.count(k) for k in range(size)]
    fits: list[tuple[float, list[list[float]]]] = []
    for t in TEMPERATURES:
        q = []
        for row in p:
            powers = [max(v, 1e-6) ** (1 / t) for v in row]
            q.append([v / sum(powers) for v in powers])

        def shrunk(e: float) -> list[list[float]]:
            matrix = []
            for j in range(size):
                goes = [0.5 / (size - 1) + 0.5 * sizes[k] / max(n - sizes[j], 1) if k != j else 0 for k in range(size)]
                matrix.append([(1 - e) * (j == k) + e * goes[k] / sum(goes) for k in range(size)])
            return matrix

        def believed(T: list[list[float]], q: list[list[float]] = q) -> list[list[float]]:
            rows = []
            for row, y in zip(q, labels, strict=True):
                joint = [row[j] * T[j][y] for j in range(size)]
                rows.append([v / sum(joint) for v in joint])
            return rows

        T = shrunk(0.1)
        for _ in range(STEPS):
            r = believed(T)
            totals = [[sum(r[i][j] for i in range(n) if labels[i] == k) for k in range(size)] for j in range(size)]
            e = min(max(1 - sum(totals[j][j] for j in range(size)) / n, RATES[0]), RATES[1])
            S = shrunk(e)
            for j in range(size):
                line = [totals[j][k] + PRIOR_ROWS * S[j][k] for k in range(size)]
                T[j] = [v / sum(line) for v in line]
        likelihood = sum(math.log(sum(q[i][j] * T[j][labels[i]] for j in range(size))) for i in range(n))
        fits.append((likelihood, believed(T)))
    highest = max(likelihood for likelihood, _ in fits)
    beliefs = next(rows for likelihood, rows in fits if likelihood >= highest - 1.96**2 / 2)
    right = [min(max(beliefs[i][labels[i]], 1e-9), 1 - 1e-9) for i in range(n)]
    odds = [math.log(v / (1 - v)) for v in right]
    if aum is not None:
        distances, variance = [], 0.0
        for weight in (right, [1 - v for v in right]):
            mean = sum(w * a for w, a in zip(weight, aum, strict=True)) / sum(weight)
            means = []
            for k in range(size):
                own = [i for i in range(n) if labels[i] == k]
                mass = sum(weight[i] for i in own)
                means.append((sum(weight[i] * aum[i] for i in own) + MARGIN_ROWS * mean) / (mass + MARGIN_ROWS))
            squares = [(aum[i] - means[labels[i]]) ** 2 for i in range(n)]
            distances.append(squares)
            variance += sum(w * s for w, s in zip(weight, squares, strict=True)) / n
        odds = [o + (distances[1][i] - distances[0][i]) / (2 * variance) for i, o in enumerate(odds)]
    return [1 / (1 + math.exp(o)) for o in odds]


@cases("seed", range(3))
def test_it_is_that_of_plain_loops(seed: int) -> None:
    labels, probabilities = random_case(seed, classes=3, rows=30)
    aum = np.random.default_rng(seed).normal(size=30)
    for margins in (None, aum):
        expected = by_loops(labels.tolist(), probabilities.tolist(), None if margins is None else margins.tolist())
        np.testing.assert_allclose(posterior(labels, probabilities, margins).wrong, expected, rtol=1e-9, atol=1e-12)


def test_the_order_of_classes_and_of_rows_does_not_matter() -> None:
    labels, probabilities = random_case(1, classes=5, rows=80)
    found = posterior(labels, probabilities).wrong
    classes, rows = np.array([3, 0, 4, 1, 2]), np.random.default_rng(0).permutation(80)
    turned = np.empty_like(probabilities)
    turned[:, classes] = probabilities
    np.testing.assert_allclose(posterior(classes[labels], turned).wrong, found, rtol=1e-9)
    np.testing.assert_allclose(posterior(labels[rows], probabilities[rows]).wrong, found[rows], rtol=1e-9)


def test_a_low_margin_makes_a_label_more_suspicious() -> None:
    labels, probabilities = random_case(2, classes=4, rows=100)
    plain = posterior(labels, probabilities).wrong
    aum = 2.0 * (plain < 0.5)  # rows believed right have the larger margin
    lower = aum.copy()
    lower[0] -= 1.0
    assert posterior(labels, probabilities, lower).wrong[0] > posterior(labels, probabilities, aum).wrong[0]


def test_a_row_without_a_margin_is_judged_by_its_probabilities() -> None:
    labels, probabilities = random_case(2, classes=4, rows=100)
    aum = np.random.default_rng(0).normal(size=100)
    aum[7] = np.nan
    found = posterior(labels, probabilities, aum).wrong
    assert np.isfinite(found).all()
    assert found[7] == posterior(labels, probabilities).wrong[7]


def test_planted_labels_of_a_tail_class_are_found() -> None:
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1, 2], [200, 60, 8])
    labels = true.copy()
    planted = [0, 1, 2, 3]
    labels[planted] = 2  # four rows of the head among eight of the tail
    logits = rng.normal(size=(268, 3))
    logits[np.arange(268), true] += 4
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = posterior(labels, probabilities).wrong
    assert set(planted) <= set(np.flatnonzero(wrong > 0.5).tolist())
    assert (wrong[-8:] > 0.5).sum() <= 1


def noisy(rng: np.random.Generator, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels with a share of wrong ones, by class sizes; true labels; the exact posterior of the *given* labels."""
    sizes = np.array([400, 160, 60, 20])
    true = np.repeat(np.arange(4), sizes)
    x = rng.normal(size=(len(true), 4)) + 2.2 * np.eye(4)[true]
    densities = np.exp(2.2 * x) * sizes
    clean = densities / densities.sum(1, keepdims=True)
    labels = np.where(rng.random(len(true)) < rate, rng.permutation(true), true)
    return labels, true, (1 - rate) * clean + rate * sizes / sizes.sum()


def test_noise_that_the_probabilities_repeat_is_found_and_right_labels_stay() -> None:
    """At the largest likelihood alone, in place of its interval, 95 of the 870 wrong labels are found."""
    hits, named, clean = 0, 0, 0
    for seed in range(8):
        labels, true, p = noisy(np.random.default_rng(seed), 0.3)
        wrong = posterior(labels, p).wrong > 0.5
        hits, named = hits + int((wrong & (labels != true)).sum()), named + int(wrong.sum())
        labels, true, p = noisy(np.random.default_rng(seed), 0.0)
        clean += int((posterior(labels, p).wrong > 0.5).sum())
    assert hits > 0.3 * 870
    assert hits > 0.85 * named
    assert clean <= 10  # of 5120


class TestInformed:
    @cases(("sizes", "most"), [((500, 10), 8), ((40, 40), 8), ((100, 60, 30, 10, 4), 1)])
    def test_random_labels_are_seldom_judged(self, sizes: tuple[int, ...], most: int) -> None:
        """More than 8 of 60 has probability 0.01 at 5 %."""
        passed, size = 0, len(sizes)
        for seed in range(60):
            rng = np.random.default_rng(seed)
            labels = rng.permutation(np.repeat(np.arange(size), sizes))
            concentration = 20 * np.array(sizes) / sum(sizes) if seed % 2 else np.ones(size) / 2
            passed += posterior(labels, rng.dirichlet(concentration, len(labels))).informed
        assert passed <= most

    def test_what_is_learnt_of_a_tail_is_seen_though_the_head_is_all_that_is_predicted(self) -> None:
        labels = np.repeat([0, 1], [500, 10])
        p = np.tile([0.98, 0.02], (510, 1))
        assert not posterior(labels, p).informed
        p[-10:] = [0.9, 0.1]
        assert posterior(labels, p).informed

    def test_the_order_test_is_that_of_plain_loops(self) -> None:
        for seed in range(6):
            labels, p = random_case(seed, classes=3, rows=40)
            p = p if seed % 2 else np.random.default_rng(seed).permutation(p)
            means = [sum(row[k] for row in p) / 40 for k in range(3)]
            generator = np.random.RandomState(0)
            orders = [labels, *(generator.permutation(labels) for _ in range(ORDERS))]
            gains = [sum(math.log(0.5 + 0.5 * p[i][y] / means[y]) for i, y in enumerate(order)) for order in orders]
            as_good = sum(gain >= gains[0] for gain in gains[1:])
            assert _beats_random_orders(labels, p) == ((1 + as_good) / (1 + ORDERS) <= LEVEL)


class TestRowsNeeded:
    def test_it_is_the_smallest_number_whose_interval_excludes_chance(self) -> None:
        from longtail.facts.intervals import wilson

        labels = np.repeat([0, 1, 2], [40, 20, 10])
        guesses = labels.copy()
        guesses[:6], guesses[40:48], guesses[60:66] = 1, 0, 0
        hits, overall = labels == guesses, float((labels == guesses).mean())
        for k, needed in enumerate(rows_needed(labels, guesses, 3)):
            own = labels == k
            rate = (hits[own].sum() + overall) / (own.sum() + 1)
            chance = max(1 / 3, float((guesses[~own] == k).mean()))
            assert needed is not None
            assert float(wilson(rate * needed, needed, level=0.9)[0]) > chance
            if needed > 2:
                assert float(wilson(rate * (needed - 1), needed - 1, level=0.9)[0]) <= chance

    def test_of_a_class_that_is_never_recognised_no_number_is_known(self) -> None:
        labels = np.repeat([0, 1], [30, 10])
        assert rows_needed(labels, np.zeros(40, dtype=np.int64), 2)[1] is None
