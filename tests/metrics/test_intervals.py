"""The Wilson interval against published values and against its own definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longtail.metrics import wilson

# Newcombe (1998), "Two-sided confidence intervals for the single proportion", Table I, method 3
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("successes", "n", "low", "high"), NEWCOMBE)
def test_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    assert [round(float(end), 4) for end in wilson(successes, n)] == [low, high]


@pytest.mark.parametrize(("successes", "n"), [(1, 3), (7, 9), (50, 100), (2.5, 7.25)])
def test_the_ends_are_where_the_score_test_rejects(successes: float, n: float) -> None:
    for end in wilson(successes, n, level=0.9):
        z = (successes / n - float(end)) / math.sqrt(float(end) * (1 - float(end)) / n)
        assert abs(abs(z) - 1.6448536269514722) < 1e-9


def test_all_and_none_end_at_one_and_zero_and_nothing_tested_has_no_interval() -> None:
    low, high = wilson([0, 7, 0], [7, 7, 0])
    assert low[0] == 0.0
    assert high[1] == 1.0
    assert high[0] == pytest.approx(1 - low[1])
    assert np.isnan([low[2], high[2]]).all()


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"successes must lie in \[0, n\], got 4.0; pass counts, not rates"):
        wilson([1, 4], 3)
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), got 95; use level=0.95"):
        wilson(1, 3, level=95)
