"""Densities of features: the double loop, and rows that are alike, alone, or far from all others."""

from __future__ import annotations

import math

import pytest
import torch
from tests.functional import density_formulas as formulas

from longtail.functional import density
from longtail.functional.density import density_weights, log_density, median_distance

ROWS = torch.randn(23, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("leave_one_out", [True, False])
@pytest.mark.parametrize("h", [0.05, 0.4, 3.0])
def test_is_the_double_loop(h: float, leave_one_out: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "CHUNK", 7)  # the last chunk is partial
    found = log_density(ROWS, h, leave_one_out=leave_one_out)
    expected = torch.tensor(formulas.densities(ROWS.tolist(), h, leave_one_out=leave_one_out), dtype=torch.float64)
    torch.testing.assert_close(found, expected.log(), rtol=1e-10, atol=1e-10)
    for alpha in (0.0, 0.5, 2.0):
        powers = formulas.weights(ROWS.tolist(), h, alpha, leave_one_out=leave_one_out)
        torch.testing.assert_close(
            density_weights(found, alpha), torch.tensor(powers, dtype=torch.float64), rtol=1e-9, atol=1e-12
        )


def test_of_many_rows_the_mean_is_over_evenly_spaced_ones() -> None:
    found = log_density(ROWS, 0.4, centres=4)
    expected = formulas.densities(ROWS.tolist(), 0.4, leave_one_out=True, centres=[0, 5, 11, 17])
    torch.testing.assert_close(found.exp(), torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12)


def test_the_median_is_that_of_all_pairs_that_differ() -> None:
    assert median_distance(ROWS) == pytest.approx(formulas.median_distance(ROWS.tolist()), rel=1e-12)
    twice = torch.cat([ROWS[:1]] * 20 + [ROWS[1:2]])
    a, b = formulas.unit(ROWS[:2].tolist())
    assert median_distance(twice) == pytest.approx(formulas.distance(a, b), rel=1e-12)
    assert median_distance(ROWS[:1].repeat(5, 1).float()) == 1.0
    assert median_distance(ROWS[:1]) == 1.0


def test_rows_that_are_alike_weigh_alike_and_a_row_alone_weighs_one() -> None:
    alike = log_density(ROWS[:1].repeat(6, 1), 0.1)
    torch.testing.assert_close(alike, torch.zeros_like(alike), rtol=0, atol=1e-12)
    assert density_weights(alike, 3.0).tolist() == pytest.approx([1.0] * 6)
    assert log_density(ROWS[:1], 0.1).tolist() == [-math.inf]
    assert log_density(ROWS[:1], 0.1, leave_one_out=False).tolist() == pytest.approx([0.0])
    assert density_weights(log_density(ROWS[:1], 0.1), 1.0).tolist() == [1.0]
    assert log_density(ROWS[:0], 0.1).tolist() == []


def test_rows_of_zeros_are_alike_and_at_length_one_from_all_others() -> None:
    """As features of a layer of ReLUs may be: they stay zeros, which are not of length 1."""
    rows = torch.cat([ROWS[:7], torch.zeros(3, 5).double()])
    expected = formulas.densities(rows.tolist(), 0.4, leave_one_out=True)
    torch.testing.assert_close(log_density(rows, 0.4), torch.tensor(expected, dtype=torch.float64).log())
    only = torch.cat([ROWS[:1], torch.zeros(3, 5).double()])
    assert median_distance(only) == pytest.approx(1.0)


def test_a_density_of_zero_counts_as_the_smallest_above() -> None:
    logs = torch.tensor([-1.0, -math.inf, -3.0])
    assert density_weights(logs, 1.0).tolist() == density_weights(torch.tensor([-1.0, -3.0, -3.0]), 1.0).tolist()


def test_far_rows_of_a_tiny_bandwidth_stay_finite_in_float32_and_bfloat16() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        found = density_weights(log_density(ROWS.to(dtype), 1e-3), 1.0)
        assert found.dtype == torch.float32
        assert found.isfinite().all()
        assert found.mean().item() == pytest.approx(1.0)


def test_alpha_zero_gives_ones_exactly() -> None:
    for rows in (ROWS, ROWS.float(), ROWS[:1]):
        assert density_weights(log_density(rows, 0.3), 0.0).tolist() == [1.0] * len(rows)


def test_a_bandwidth_that_is_none_is_refused() -> None:
    for h in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"^h must be > 0 and finite, got .*; it is a distance between rows"):
            log_density(ROWS, h)
    with pytest.raises(ValueError, match=r"^features must have shape \(N, D\), got \(5,\)"):
        log_density(ROWS[0], 1.0)
