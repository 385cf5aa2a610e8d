"""Steps of precision over recall: scikit-learn's points where recall rises, and areas that thinning does not move."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve
from tests.cases import cases

from longtail.metrics.recall_steps import RecallSteps, mean_steps, recall_steps


def drawn(seed: int, rows: int, kinds: int, *, weighted: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Scores of `kinds` different values, so that there are ties; the lowest is minus infinity, as log 0 is."""
    generator = np.random.default_rng(seed)
    positive = generator.random(rows) < 0.2
    scores = generator.integers(kinds, size=rows) + 2.0 * positive
    scores[scores == 0] = -np.inf
    return scores, positive, generator.choice([0.0, 0.5, 1.0, 3.0], rows) if weighted else None


@cases("seed", range(20))
def test_points_and_area_are_those_of_scikit_learn(seed: int) -> None:
    scores, positive, weight = drawn(seed, 200, 5 if seed % 2 else 100, weighted=seed % 3 > 0)
    steps = recall_steps(scores, positive, weight)
    assert steps is not None
    finite = np.maximum(scores, -9.0)  # scikit-learn refuses infinite scores
    precision, recall, _ = precision_recall_curve(positive, finite, sample_weight=weight)
    # theirs begins with the longest list; where recall does not rise the list only grew
    points = [(r, p) for p, r in zip(precision[::-1], recall[::-1], strict=True)][1:]
    rising = [(r, p) for i, (r, p) in enumerate(points) if r > (points[i - 1][0] if i else 0.0)]
    np.testing.assert_allclose(np.column_stack([steps.recall, steps.precision]), rising, rtol=1e-12)
    area = average_precision_score(positive, finite, sample_weight=weight)
    assert steps.average_precision == pytest.approx(area, rel=1e-12)


def test_weights_are_copies() -> None:
    scores, positive, _ = drawn(0, 100, 8, weighted=False)
    copies = np.random.default_rng(1).integers(0, 4, 100)
    one = recall_steps(scores, positive, copies.astype(float))
    other = recall_steps(np.repeat(scores, copies), np.repeat(positive, copies))
    assert one is not None
    assert other is not None
    np.testing.assert_allclose([one.recall, one.precision], [other.recall, other.precision], rtol=1e-12)


@cases("most", [1, 2, 7, 60])
def test_thinned_has_the_area_and_stays_close(most: int) -> None:
    generator = np.random.default_rng(3)
    positive = generator.random(5000) < 0.2
    steps = recall_steps(generator.normal(size=5000) + 1.5 * positive, positive)
    assert steps is not None
    thin = steps.thinned(most)
    assert len(thin.recall) <= most
    assert (np.diff(thin.recall) > 0).all()
    assert thin.recall[-1] == 1.0
    assert thin.average_precision == pytest.approx(steps.average_precision, rel=1e-12)
    if most == 60:
        # at no recall further away than two sixtieths of the curve's length, which is 2 or a little more
        nearest = thin.precision[np.searchsorted(thin.recall, steps.recall)]
        assert np.abs(nearest - steps.precision)[50:].max() < 0.06
        assert steps.thinned(len(steps.recall)) is steps


def test_the_mean_over_runs_has_the_mean_area_and_their_mean_heights() -> None:
    first = RecallSteps(np.array([0.5, 1.0]), np.array([1.0, 0.2]))
    second = RecallSteps(np.array([0.25, 1.0]), np.array([0.4, 0.6]))
    mean = mean_steps([first, second])
    np.testing.assert_allclose(mean.recall, [0.25, 0.5, 1.0])
    np.testing.assert_allclose(mean.precision, [(1.0 + 0.4) / 2, (1.0 + 0.6) / 2, (0.2 + 0.6) / 2])
    assert mean.average_precision == pytest.approx((0.6 + (0.25 * 0.4 + 0.75 * 0.6)) / 2)


def test_a_class_without_rows_has_none() -> None:
    assert recall_steps(np.zeros(3), np.zeros(3, dtype=bool)) is None
    assert recall_steps(np.zeros(0), np.zeros(0, dtype=bool)) is None
    assert recall_steps(np.arange(2.0), np.array([True, False]), np.array([0.0, 1.0])) is None
