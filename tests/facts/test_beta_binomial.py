"""The beta-binomial is its definition by factorials, and its interval leaves out no more than it says."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from tests.posthoc.sets import set_formulas

from longtail.facts.beta_binomial import beta_binomial, covered_interval


@pytest.mark.parametrize(("m", "a", "b"), [(0, 1, 1), (1, 9, 1), (12, 9, 1), (30, 46, 5), (40, 1, 20)])
def test_is_the_definition(m: int, a: int, b: int) -> None:
    exact = set_formulas.beta_binomial(m, a, b)
    assert sum(exact) == 1
    np.testing.assert_allclose(beta_binomial(m, a, b), [float(p) for p in exact], rtol=1e-11)


def test_many_rows_do_not_overflow() -> None:
    np.testing.assert_allclose(
        beta_binomial(2000, 901, 100).cumsum(), stats.betabinom(2000, 901, 100).cdf(np.arange(2001)), atol=1e-9
    )


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 9, 9), (20, 9, 9), (25, 18, 19), (60, 46, 50)])
def test_the_interval_is_the_narrowest_with_at_most_half_the_rest_on_each_side(
    m: int, k: int, n: int, level: float
) -> None:
    shares = set_formulas.beta_binomial(m, k, n + 1 - k)
    low, high = covered_interval(m, k, n, level)
    tail = (1 - Fraction(str(level))) / 2
    assert sum(shares[:low]) <= tail < sum(shares[: low + 1])
    assert sum(shares[high + 1 :]) <= tail < sum(shares[high:])


def test_known_limits_and_no_threshold() -> None:
    assert [covered_interval(100, k, n, 0.99)[0] for k, n in ((18, 19), (91, 100), (901, 1000))] == [65, 77, 81]
    assert covered_interval(7, 5, 4) == (7, 7)  # every row is covered
    assert covered_interval(0, 9, 9) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 12, 10), "k must be <= 11, got 12"),
        ((10, 0, 10), "k must be >= 1"),
        ((-1, 1, 10), "m must be >= 0"),
        ((1, 1, 10, 2.0), r"level must be in \[0, 1\]"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        covered_interval(*arguments)
