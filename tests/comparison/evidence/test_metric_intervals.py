"""Intervals of the metric: the textbook's for one candidate, and valid for the best of many."""

import numpy as np
import pytest

from longtail.comparison.evidence.metric_intervals import metric_intervals

DRAW = np.random.default_rng(0)


def _right(share, targets, draw=DRAW):
    """Predictions of two classes that are right with this chance."""
    return np.where(draw.random(len(targets)) < share, targets, 1 - targets)


def test_of_one_candidate_it_is_that_of_a_share():
    targets = np.repeat([0, 1], 500)
    predicted = _right(0.8, targets)
    ((low, high),) = metric_intervals({"a": {0: predicted}}, targets, "accuracy", num_classes=2).values()
    share = (predicted == targets).mean()
    half = 1.96 * np.sqrt(share * (1 - share) / len(targets))
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.1 * half)


def test_the_chosen_of_many_is_covered_where_an_interval_of_its_own_fails():
    """Twenty candidates, all right with chance 0.7: the best of them is flattered, and its interval covers 0.7."""
    draw, targets = np.random.default_rng(1), np.repeat([0, 1], 100)
    covered = {20: 0, 1: 0}
    for _ in range(100):
        made = {str(m): {0: _right(0.7, targets, draw)} for m in range(20)}
        best = max(made, key=lambda name: (made[name][0] == targets).mean())
        for many, asked in ((20, made), (1, {best: made[best]})):
            low, high = metric_intervals(asked, targets, "balanced_accuracy", num_classes=2, draws=400)[best]
            covered[many] += low <= 0.7 <= high
    assert covered[20] >= 90
    assert covered[1] < 80


def test_seeds_that_differ_widen_it_and_equal_ones_do_not():
    targets = np.repeat([0, 1], 200)
    one, other = _right(0.6, targets), _right(0.9, targets)

    def width(seeds):
        ((low, high),) = metric_intervals({"a": seeds}, targets, "accuracy", num_classes=2).values()
        return high - low

    assert width({0: one, 1: other, 2: one}) > 3 * width({0: one})
    assert width({0: one, 1: one}) == width({0: one})


def test_rows_of_weight_zero_do_not_count_and_a_perfect_candidate_has_no_certainty():
    targets = np.repeat([0, 1], 20)
    damaged = targets.copy()
    damaged[:5] = 1
    weight = np.ones(40)
    weight[:5] = 0.0
    asked = {"a": {0: damaged}, "b": {0: _right(0.5, targets)}}
    ends = metric_intervals(asked, targets, "balanced_accuracy", num_classes=2, sample_weight=weight)
    assert 0.5 < ends["a"][0] < ends["a"][1] == 1.0


def test_all_candidates_are_covered_where_classes_have_one_row_or_two():
    """Of rare rows most are wrong; a bootstrap alone takes a class of which all are wrong for known."""
    draw, targets = np.random.default_rng(2), np.repeat(np.arange(6), [40, 20, 10, 2, 1, 1])
    recall = np.array([0.95, 0.9, 0.8, 0.4, 0.3, 0.3])
    covered, widths = 0, []
    for _ in range(40):
        made = {
            str(m): {0: np.where(draw.random(len(targets)) < recall[targets], targets, (targets + 1) % 6)}
            for m in range(4)
        }
        ends = metric_intervals(made, targets, "balanced_accuracy", num_classes=6, draws=400).values()
        covered += all(low <= recall.mean() <= high for low, high in ends)
        widths += [high - low for low, high in ends]
    assert covered >= 37
    assert np.mean(widths) < 0.85  # three of six classes can be anything: 0.5, and the chance of the others
