"""Differences from an estimate, against sums written out, and how often their intervals hold."""

from __future__ import annotations

import math
import random

import pytest

from longtail.facts.intervals import wilson
from longtail.runs import against_estimate as against

Z95_BONFERRONI_2 = 2.241402727604947
T975_2 = 4.302652729911275


def test_the_interval_of_a_difference_is_square_and_add() -> None:
    new, before = {"mean": 0.5, "low": 0.4, "high": 0.7}, {"mean": 0.6, "low": 0.35, "high": 0.65}
    gap = against.difference(new, before)
    assert gap["mean"] == pytest.approx(-0.1)
    assert gap["low"] == pytest.approx(-0.1 - math.sqrt(0.1**2 + 0.05**2))
    assert gap["high"] == pytest.approx(-0.1 + math.sqrt(0.2**2 + 0.25**2))
    wider = against.difference(new, before, 0.3)
    assert wider["low"] == pytest.approx(-0.1 - math.sqrt(0.1**2 + 0.05**2 + 0.3**2))


def test_what_is_said_follows_from_zero() -> None:
    assert against.said({"mean": -1, "low": -2, "high": -0.1}) == "lower"
    assert against.said({"mean": 1, "low": 0.1, "high": 2}) == "higher"
    assert against.said({"mean": 1, "low": -0.1, "high": 2}) == "not shown"


def test_one_seed_varies_by_students_t() -> None:
    assert against.half_width(0.02, 3) == pytest.approx(T975_2 * 0.02, rel=1e-9)
    assert against.half_width(None, 3) == against.half_width(0.02, 1) == 0.0
    found = against.by_metric(
        {"accuracy": {"mean": 0.5, "low": 0.5, "high": 0.5}, "mcc": {"mean": 0, "low": 0, "high": 0}},
        {"accuracy": {"mean": 0.6, "low": 0.6, "high": 0.6, "std": 0.02}}, seeds=3,
    )  # fmt: skip
    assert list(found) == ["accuracy"]
    assert found["accuracy"]["difference"]["high"] == pytest.approx(-0.1 + T975_2 * 0.02)
    assert found["accuracy"]["said"] == "lower"


def test_classes_are_compared_together_and_by_hand() -> None:
    rows = against.by_class([0.5, None], [40, 0], {"recall": [0.8, 0.2], "n": [60, 5]})
    (lo, hi), (lo2, hi2) = _wilson(20, 40), _wilson(48, 60)
    assert rows[0]["difference"]["low"] == pytest.approx(-0.3 - math.hypot(0.5 - lo, hi2 - 0.8))
    assert rows[0]["difference"]["high"] == pytest.approx(-0.3 + math.hypot(hi - 0.5, 0.8 - lo2))
    assert rows[0]["said"] == "lower"
    assert rows[1]["new"] is None
    assert rows[1]["said"] is None
    assert all(row["expected"] is None for row in against.by_class([0.5, 0.1], [40, 9], None))


def _wilson(hits: int, n: int) -> tuple[float, float]:
    z, p = Z95_BONFERRONI_2, hits / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (p + z * z / (2 * n) - half) / (1 + z * z / n), (p + z * z / (2 * n) + half) / (1 + z * z / n)


def test_shares_that_moved_are_named() -> None:
    found = against.shares([150, 50], [900, 100])
    assert found["distance"] == pytest.approx(0.15)
    assert [one["said"] for one in found["classes"]] == ["lower", "higher"]
    assert against.shares([9, 1], [900, 100])["classes"][0]["said"] == "not shown"


def test_no_difference_is_called_one_at_most_as_often_as_said() -> None:
    draw = random.Random(0)

    def rate() -> dict[str, float]:
        hits = sum(draw.random() < 0.7 for _ in range(60))
        low, high = (float(end) for end in wilson(hits, 60))
        return {"mean": hits / 60, "low": low, "high": high}

    wrong = sum(against.said(against.difference(rate(), rate())) != "not shown" for _ in range(1000))
    assert 25 <= wrong <= 70  # 50 expected, standard deviation 7
