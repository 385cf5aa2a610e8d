"""The 95 % intervals hold the true recall about 95 % of the time: enumerated, and pinned to the committed table."""

from __future__ import annotations

import csv
import json
from math import comb
from pathlib import Path

import pytest
from benchmarks.intervals import NOMINAL, RATES, SIZES, coverage, simulate, summary, table

from longtail.metrics import wilson

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "intervals.json"


def by_hand(n: int, rate: float) -> float:
    """The sum over hits, with the binomial written out."""
    total = 0.0
    for k in range(n + 1):
        low, high = (float(end) for end in wilson(k, n))
        if low <= rate <= high:
            total += comb(n, k) * rate**k * (1 - rate) ** (n - k)
    return total


@pytest.mark.parametrize(("n", "rate"), [(1, 0.2), (1, 0.5), (3, 0.95), (10, 0.01), (20, 0.4), (100, 0.03)])
def test_the_coverage_is_a_finite_sum(n: int, rate: float) -> None:
    assert coverage(n, rate) == pytest.approx(by_hand(n, rate), abs=1e-12)


def test_on_average_it_is_between_93_and_97_percent_also_for_every_class_size() -> None:
    found = summary(table())
    assert 0.93 <= found["average"] <= 0.97
    assert all(0.93 <= value <= 0.97 for value in found["average_by_n"].values())
    assert found["worst"]["coverage"] == pytest.approx(0.8)  # one example: either end may be missed
    assert found["worst_from_n_10"]["coverage"] > 0.9
    committed = json.loads(RESULTS.read_text())
    for key in ("average", "nominal"):
        assert committed[key] == pytest.approx(found[key], abs=1e-9)
    assert committed["worst"]["coverage"] == pytest.approx(found["worst"]["coverage"], abs=1e-9)


def test_the_committed_table_has_every_cell() -> None:
    with RESULTS.with_suffix(".csv").open() as file:
        cells = {(int(row["n"]), float(row["rate"])): float(row["coverage"]) for row in csv.DictReader(file)}
    assert set(cells) == {(n, rate) for n in SIZES for rate in RATES}
    assert NOMINAL == 0.95
    for n, rate in [(1, 0.2), (20, 0.4), (1000, 0.99)]:
        assert cells[n, rate] == pytest.approx(coverage(n, rate), abs=1e-6)


def test_the_intervals_that_evaluate_reports_cover_as_enumerated() -> None:
    for row in simulate(400, seed=1):
        assert abs(row["simulated"] - row["exact"]) < 4 * row["standard_error"], row
