"""The intervals of metrics: formulas by hand, identities, and no certainty from few rows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import metric_intervals
from scipy.stats import binomtest
from tests.cases import cases

from longtail.metrics import evaluate, intervals
from longtail.metrics.ranking import ranked
from longtail.metrics.rows import Counts

Z = 1.959963984540054
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "metrics" / "intervals.json"


def case(seed: int, sizes: tuple[int, ...], signal: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    return rng.normal(size=(len(y), len(sizes))) + signal * np.eye(len(sizes))[y], y


def wilson(share: float, n: float) -> tuple[float, float]:
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return middle - half, middle + half


@cases("n", [1, 3, 40])
def test_of_a_share_the_effective_size_is_its_own(n: int) -> None:
    for hits in range(n + 1):
        v = hits / n
        found = intervals.effective(v, v * (1 - v) / n, 1 / n)
        theirs = binomtest(hits, n).proportion_ci(method="wilson")
        assert [float(end) for end in found] == pytest.approx([theirs.low, theirs.high], abs=1e-12)


def test_the_formulas_by_hand() -> None:
    low, high = intervals.effective(0.9, 0.001, 0.05)
    assert (float(low), float(high)) == pytest.approx(wilson(0.9, (0.09 + 0.05) / (0.001 + 0.0025)))
    # F1 of 6 hits, 8 rows, 10 decisions: J = 6 of 12
    a, b = wilson(0.5, 12)
    ends = intervals.f1_ends(np.array([6.0]), np.array([8.0]), np.array([10.0]))
    assert [float(end[0]) for end in ends] == pytest.approx([2 * a / (1 + a), 2 * b / (1 + b)])
    v, below, above = np.array([0.5, np.nan, 0.9]), np.array([0.3, np.nan, 0.8]), np.array([0.8, np.nan, 0.95])
    expected = (0.7 - math.sqrt(0.2**2 + 0.1**2) / 2, 0.7 + math.sqrt(0.3**2 + 0.05**2) / 2)
    assert intervals.mean_ends(v, below, above) == pytest.approx(expected)
    wide = 0.7 - math.sqrt(1.5 * (0.2**2 + 0.1**2)) / 2
    assert intervals.mean_ends(v, below, above, 1.5)[0] == pytest.approx(wide)
    assert intervals.mean_ends(v, below, above, 2.0) == pytest.approx((0.55, 0.875))  # no further than together
    assert intervals.common_factor(0.02, np.array([0.02, np.nan, 0.03])) == pytest.approx(0.02 * 4 / 0.05)
    assert intervals.common_factor(0.001, np.array([0.02, 0.03])) == 1.0
    spread = math.sqrt((0.5 - 0.4**2) / 50 + (0.4 / 50) ** 2) / 0.4
    assert intervals.of_positive_mean(0.4, 0.5, 50) == pytest.approx(
        (0.4 * math.exp(-Z * spread), 0.4 * math.exp(Z * spread))
    )
    s = [0.02, 0.03]
    half = math.sqrt(2 / math.pi) * sum(s) + 1.6448536269514722 * math.sqrt((1 - 2 / math.pi) * sum(x * x for x in s))
    assert intervals.of_absolute_sum(0.3, np.square(s)) == pytest.approx((0.3 - half, 0.3 + half))
    assert intervals.of_absolute_sum(0.3, np.array([1e-4])) == pytest.approx((0.3 - Z * 0.01, 0.3 + Z * 0.01))


def test_an_error_cost_has_the_interval_of_the_accuracy_mirrored() -> None:
    scores, y = case(0, (60, 20, 6), 1.0)
    found = evaluate(scores, y, class_counts=[60, 20, 6], cost=1 - np.eye(3))
    assert found["cost"] == pytest.approx(1 - found["accuracy"])
    low, high = found["intervals"]["accuracy"]
    assert found["intervals"]["cost"] == pytest.approx([1 - high, 1 - low], abs=1e-12)
    tripled = evaluate(scores, y, class_counts=[60, 20, 6], cost=3 * (1 - np.eye(3)))
    assert tripled["intervals"]["cost"] == pytest.approx([3 * (1 - high), 3 * (1 - low)], abs=1e-12)
    nothing = evaluate(scores, y, class_counts=[60, 20, 6], cost=np.full((3, 3), 2.0))
    assert (nothing["cost"], nothing["intervals"]["cost"]) == (pytest.approx(2.0), pytest.approx([2.0, 2.0]))


def test_with_two_classes_it_does_not_matter_which_is_called_positive() -> None:
    scores, y = case(1, (200, 6), 0.8)
    each = evaluate(scores, y, class_counts=[200, 6])["per_class"]
    for name in ("roc_auc", "roc_auc_low", "roc_auc_high"):
        assert each[name][0] == pytest.approx(each[name][1], abs=1e-12)


@cases(("sizes", "signal"), [((80, 30, 5), 1.0), ((80, 30, 5), 12.0), ((80, 30, 5), -12.0), ((40, 1, 1, 1), 2.0)])
def test_every_interval_holds_its_value_and_claims_no_certainty(sizes: tuple[int, ...], signal: float) -> None:
    scores, y = case(2, sizes, signal)
    options: dict[str, Any] = {"class_counts": sizes, "positive": 2, "cost": 1 - np.eye(len(sizes))}
    found = evaluate(scores, y, **options)
    assert found["intervals"].keys() == {
        name for name, value in found.items() if name not in ("groups", "intervals", "per_class")
    }
    for name, ends in found["intervals"].items():
        value = found[name]
        assert (value is None) == (ends is None), name
        if ends is not None:
            floor = -1.0 if name == "mcc" else 0.0
            assert floor <= ends[0] <= value + 1e-12, name
            assert value - 1e-12 <= ends[1] <= (np.inf if name == "log_loss" else 2.0 if name == "brier" else 1.0), name
            if name not in ("log_loss", "ece", "classwise_ece"):
                assert ends[1] - ends[0] > 0.01, name
    each = found["per_class"]
    for name in ("precision", "f1", "average_precision", "roc_auc"):
        for value, low, high, n in zip(each[name], each[f"{name}_low"], each[f"{name}_high"], each["n"], strict=True):
            if value is not None:
                assert 0 <= low <= value + 1e-12 <= high + 2e-12 <= 1 + 3e-12, name
                assert high - low > (0.3 if n <= 5 and name in ("average_precision", "roc_auc") else 0.0), name
    again = evaluate(np.repeat(scores, 30, 0), np.repeat(y, 30), **options)["intervals"]
    for name, ends in found["intervals"].items():
        if ends is not None and ends[1] > ends[0] + 1e-6:
            assert again[name][1] - again[name][0] < ends[1] - ends[0], name


def test_a_class_that_is_never_decided_for_leaves_precision_and_correlation_open() -> None:
    y = np.repeat([0, 1], [300, 4])
    found = evaluate(np.stack([np.ones(304), np.zeros(304)], 1), y, class_counts=[300, 4])
    assert (found["mcc"], found["precision"]) == (0.0, pytest.approx(300 / 608))
    low, high = found["intervals"]["precision"]
    assert low < 300 / 608
    assert high > 0.99
    assert found["intervals"]["mcc"][1] > 0.5
    assert found["per_class"]["precision"][1] is found["per_class"]["precision_low"][1] is None


def test_the_average_precision_of_few_rows_may_be_far_lower() -> None:
    scores, y = case(4, (200, 3), 1.0)
    few = evaluate(scores, y, class_counts=[200, 3])["per_class"]
    many = evaluate(np.repeat(scores, 50, 0), np.repeat(y, 50), class_counts=[200, 3])["per_class"]
    assert few["average_precision"][1] == pytest.approx(many["average_precision"][1])
    assert few["average_precision_low"][1] < 0.7 * many["average_precision_low"][1]


def test_the_lower_end_of_an_average_precision_counts_no_row_for_itself() -> None:
    y = np.array([1, 0, 1, 0, 1, 0, 0, 0])
    score = np.array([0.9, 0.8, 0.7, 0.7, 0.4, 0.3, 0.2, 0.1])
    found = ranked(score, y == 1, np.ones(8))
    # of 3 positives, thresholds 0.9, 0.7 and 0.4 have 0, 1 and 2 others above, of 2, and 0, 2 and 2 of the rest
    alone = (1.0 + 1.5 / 3.5 + 3.0 / 5.0) / 3
    assert found.average_precision == pytest.approx((1.0 + 2 / 4 + 3 / 5) / 3)
    assert found.others_precision == pytest.approx(alone)
    variance, n = np.array([found.average_precision_variance]), np.array([3.0])
    low = intervals.area_ends(np.array([alone]), variance, n, None)[0]
    high = intervals.area_ends(np.array([found.average_precision]), variance, n, None)[1]
    told = evaluate(np.stack([1 - score, score], 1), y, class_counts=[5, 3], probabilities=True)["per_class"]
    assert (told["average_precision_low"][1], told["average_precision_high"][1]) == pytest.approx((low[0], high[0]))
    assert low[0] < intervals.area_ends(np.array([found.average_precision]), variance, n, None)[0][0]


def test_ends_of_areas_means_of_logs_the_worst_and_correlation_by_hand() -> None:
    guess = (0.8 * 3 + 1) / 5
    variance, d2 = 0.01 + guess * (1 - guess) / 9, (0.8 / 4) ** 2
    expected = wilson(0.8, (0.16 + math.sqrt(d2)) / (variance + d2))
    ends = intervals.area_ends(np.array([0.8]), np.array([0.01]), np.array([3.0]), None)
    assert (ends[0][0], ends[1][0]) == pytest.approx(expected)
    variance, d2 = variance + guess * (1 - guess) / 400, d2 + (0.8 / 21) ** 2
    expected = wilson(0.8, (0.16 + math.sqrt(d2)) / (variance + d2))
    ends = intervals.area_ends(np.array([0.8]), np.array([0.01]), np.array([3.0]), np.array([20.0]))
    assert (ends[0][0], ends[1][0]) == pytest.approx(expected)

    r, low, high, n = (np.array(x) for x in ([0.5, 0.8], [0.3, 0.6], [0.7, 0.9], [10.0, 20.0]))
    lower = math.sqrt(0.4) * math.exp(-math.hypot(math.log(5 / 3), math.log(4 / 3)) / 2)
    up = [0.5 * math.exp(0.5 / 10), 0.8 * math.exp(0.2 / 32)]
    upper = math.sqrt(up[0] * up[1]) * math.exp(math.hypot(math.log(0.7 / up[0]), math.log(0.9 / up[1])) / 2)
    assert intervals.geometric_mean_ends(r, low, high, n) == pytest.approx((lower, upper))
    assert intervals.geometric_mean_ends(r * [0, 1], low * [0, 1], high, n)[0] == 0.0

    wide = [binomtest(k, m).proportion_ci(0.975, method="wilson") for k, m in ((5, 10), (16, 20))]
    expected = min(wide[0].low, wide[1].low), min(wide[0].high, wide[1].high)
    assert intervals.worst_ends(r * n, n) == pytest.approx(expected)

    counts = Counts(np.array([90.0, 2.0]), np.array([95.0, 5.0]), np.array([93.0, 7.0]))
    value = (92 * 100 - 95 * 93 - 35) / math.sqrt((1e4 - 93**2 - 49) * (1e4 - 95**2 - 25))
    worse = (92 * 101 - 95 * 94 - 42) / math.sqrt((101**2 - 94**2 - 49) * (101**2 - 95**2 - 36))
    better = (93 * 101 - 95 * 93 - 48) / math.sqrt((101**2 - 93**2 - 64) * (101**2 - 95**2 - 36))
    d, v = max(value - worse, better - value) / 2, (1 + value) / 2
    low_end, high_end = wilson(v, (v * (1 - v) + d) / (0.02 / 4 + d * d))
    assert intervals.correlation_ends(value, 0.02, counts) == pytest.approx((2 * low_end - 1, 2 * high_end - 1))


@cases(
    ("options", "line"),
    [
        (
            {"cost": np.zeros((2, 2))},
            r"cost must have shape \(3, 3\), numbers Cost\[true, decided\], got shape \(2, 2\)",
        ),
        ({"cost": np.full((3, 3), np.nan)}, "cost must be finite, got nan; give a large number instead"),
        ({"positive": 3}, r"positive must be a class index in \[0, 3\), got 3; give its index"),
        ({"positive": "rare"}, r"positive must be a class index in \[0, 3\), got 'rare'"),
    ],
)
def test_bad_costs_and_classes_are_one_line(options: dict[str, Any], line: str) -> None:
    scores, y = case(0, (6, 2, 2), 1.0)
    with pytest.raises(ValueError, match=line):
        evaluate(scores, y, class_counts=[6, 2, 2], **options)


def test_they_hold_about_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_intervals, "MANY_ROWS", 8000)
    found = metric_intervals.simulate({"sizes": (120, 40, 12), "signal": 2.0, "lost": 0.1}, 60)
    for name, row in found.items():
        assert row["coverage"] >= 0.85, name  # 0.85: 3.5 standard errors of 60 draws below 0.95
        assert 0 < row["width"] < (1.5 if name == "cost" else 0.75), name


def test_the_guide_says_what_was_simulated() -> None:
    committed = json.loads(RESULTS.read_text())
    assert committed["scenarios"] == json.loads(json.dumps(metric_intervals.SCENARIOS))
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "metrics.md").read_text()
    for name, row in committed["summary"].items():
        assert f"| {name} | {100 * row['mean']:.1f} % | {100 * row['lowest']:.1f} % |" in guide, name
