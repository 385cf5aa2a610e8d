"""Any metric is compared: the old ones as before, the others by influences, and lower may be better."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longtail.comparison.evidence.differences import compare_to_reference
from longtail.comparison.evidence.influences import Judged, resampled, variance, width_where_all_fail
from longtail.comparison.evidence.measure import measure_of
from longtail.comparison.evidence.metric_intervals import metric_intervals
from longtail.comparison.evidence.resampling import resampled_differences
from longtail.comparison.evidence.row_intervals import Seeds, over_seeds, row_intervals
from longtail.comparison.evidence.verdict import verdict, verdict_on_retraining
from longtail.facts.digits import alike
from longtail.metrics.registry import METRICS
from longtail.metrics.rows import Rows

COST = np.array([[0.0, 1.0, 1.0], [2.0, 0.0, 2.0], [10.0, 10.0, 0.0]])


def measured(name: str):
    return measure_of(name, 3, positive=2, positive_name="fraud", cost=COST)


def rows_of(y: np.ndarray, signal: float, rng: np.random.Generator, weight: np.ndarray | None = None) -> Rows:
    logits = rng.normal(size=(len(y), y.max() + 1))
    logits[np.arange(len(y)), y] += signal
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Rows(probs, probs.argmax(axis=1), y, weight)


def three(seeds: int = 2, n: int = 300, seed: int = 0) -> tuple[np.ndarray, dict[str, dict[int, Rows]]]:
    rng = np.random.default_rng(seed)
    y = np.sort(rng.choice(3, n, p=[0.6, 0.3, 0.1]))
    return y, {m: {s: rows_of(y, a, rng) for s in range(seeds)} for m, a in (("ce", 1.0), ("m", 2.0), ("t", 1.2))}


# ---- what was there before ----------------------------------------------------------------------------------


# computed by the commit before any other metric could be compared, of the predictions of the next test
BEFORE = {
    ("accuracy", False): (0.233333333333333, -0.188421962548311, 0.655088629214977, 0.101916612310284),
    ("accuracy", True): (0.315789473684211, -0.610499431031124, 1.0, 0.181638894629427),
    ("balanced_accuracy", False): (0.287728937728938, -0.067568227946217, 0.643026103404093, 0.123892740722462),
    ("balanced_accuracy", True): (0.508859703981655, -0.667233915981668, 1.0, 0.229441722685711),
    ("macro_f1", False): (0.29645585148263, -0.007376816534528, 0.600288519499788, 0.100482579320298),
    ("macro_f1", True): (0.454604639148102, -0.416582068235769, 1.0, 0.166618131719775),
}
OF_CE = {
    ("accuracy", False): (0.308373690215978, 0.758292976450688),
    ("balanced_accuracy", False): (0.172685780581145, 0.741599933704569),
    ("macro_f1", True): (0.0, 0.968589216897636),
}


@pytest.mark.parametrize(("metric", "weighted"), BEFORE)
def test_the_numbers_of_the_first_three_metrics_are_what_they_were(metric: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    y = np.sort(rng.choice(3, 60, p=[0.7, 0.2, 0.1]))
    p = {m: np.where(rng.random((2, 60)) < a, y, (y + 1) % 3) for m, a in (("ce", 0.6), ("m", 0.8), ("t", 0.7))}
    w = rng.integers(0, 3, 60).astype(float) if weighted else None
    row = compare_to_reference(p, y, "ce", metric, num_classes=3, draws=400, sample_weight=w, twins={"m": "t"})["m"]
    assert (row.difference, row.low, row.high, row.se) == pytest.approx(BEFORE[metric, weighted], abs=1e-12)
    if (metric, weighted) in OF_CE:
        seeds = {m: dict(enumerate(rows)) for m, rows in p.items()}
        ends = metric_intervals(seeds, y, metric, num_classes=3, draws=400, sample_weight=w)
        assert ends["ce"] == pytest.approx(OF_CE[metric, weighted], abs=1e-12)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_influences_draw_what_is_drawn_for_a_linear_metric(metric: str) -> None:
    y, runs = three(1)
    pairing = np.array([[1.0, -1.0], [0.0, 1.0]])
    made = [measured(metric).judged(runs[m][0]) for m in ("m", "ce")]
    influence = pairing @ np.stack([one.influence for one in made])
    parts = pairing @ np.stack([one.parts for one in made])
    found = resampled(influence, parts, made[0].strata, 300, np.random.default_rng(3))
    decided = np.stack([runs[m][0].decided for m in ("m", "ce")])
    expected = resampled_differences(decided, y, pairing, metric, 3, 300, np.random.default_rng(3))
    assert found == pytest.approx(expected, abs=1e-12)
    for k in range(2):
        drawn = resampled(influence, parts, made[0].strata, 8_000, np.random.default_rng(4))[:, k].std()
        assert math.sqrt(variance(influence[k], parts[k], made[0].strata)) == pytest.approx(drawn, rel=0.04)


# ---- the noise ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metric",
    ["average_precision", "positive_average_precision", "positive_f1", "g_mean", "log_loss", "mcc", "cost"],
)
def test_the_noise_is_that_of_a_bootstrap_by_brute_force(metric: str) -> None:
    """Every resample is judged anew as a data set of its own, within classes where the metric is of classes."""
    measure = measured(metric)
    y, runs = three(1, n=900)
    a, b = runs["m"][0], runs["ce"][0]
    rng = np.random.default_rng(5)
    strata = [np.flatnonzero(y == j) for j in range(3)] if measure.metric.by_class else [np.arange(len(y))]
    gains = []
    for _ in range(500):
        at = np.concatenate([rng.choice(index, len(index)) for index in strata])
        one, other = (Rows(r.probs[at], r.decided[at], y[at], None, 2, COST) for r in (a, b))
        gains.append(measure.metric.value(one) - measure.metric.value(other))
    row = compare_to_reference({"m": {0: a}, "ce": {0: b}}, y, "ce", measure, num_classes=3, draws=2000)["m"]
    assert row.se == pytest.approx(np.std(gains), rel=0.1)  # 500 resamples know a deviation to 3 percent
    assert row.difference == pytest.approx(np.mean(gains), abs=0.3 * row.se)


def test_the_interval_covers_a_known_difference_of_areas() -> None:
    """Scores are normal: the area is Phi(shift / sqrt 2), of a rare class with 25 rows."""
    rng, y = np.random.default_rng(6), np.repeat([0, 1], [150, 25])
    area = {shift: 0.5 * (1 + math.erf(shift / 2)) for shift in (0.8, 1.6)}
    measure = measure_of("positive_roc_auc", 2, positive=1, positive_name="1")
    covered = 0
    for _ in range(120):
        made = {}
        for shift in area:
            p = 1 / (1 + np.exp(-(rng.normal(size=len(y)) + shift * y)))
            made[str(shift)] = {0: Rows(np.stack([1 - p, p], axis=1), np.zeros_like(y), y)}
        row = compare_to_reference(made, y, "0.8", measure, num_classes=2, draws=400)["1.6"]
        covered += row.low <= area[1.6] - area[0.8] <= row.high
    assert 107 <= covered < 120  # 114 on average, and 6 of 120 miss


def test_a_rare_class_that_is_ranked_first_by_all_rows_is_no_certainty() -> None:
    """Every influence on an area of 1 is 0; the three rows of the class are still only three."""
    y = np.repeat([0, 1], [50, 3])
    perfect = np.stack([1.0 - y, y.astype(float)], axis=1)
    rows = Rows(perfect, y, y)
    measure = measure_of("positive_average_precision", 2, positive=1, positive_name="1")
    ((low, high),) = metric_intervals({"a": {0: rows}}, y, measure, num_classes=2).values()
    assert high == 1.0
    assert low == pytest.approx(1 - 1 / 3, abs=0.01)
    made = over_seeds([measure.judged(rows)])
    assert math.sqrt(made.variance) == pytest.approx(1 / 3)


def test_a_class_that_contributes_nothing_is_no_certainty_either() -> None:
    y = np.repeat([0, 1], [50, 4])
    rows = Rows(np.full((54, 2), 0.5), np.zeros_like(y), y)
    made = measure_of("positive_recall", 2, positive=1, positive_name="1").judged(rows)
    assert made.value == 0.0
    assert width_where_all_fail(made.room, made.strata).tolist() == [0.0, 0.25]


def test_the_precision_of_a_class_that_is_never_decided_for_is_0() -> None:
    y, runs = three(1)
    never = Rows(runs["ce"][0].probs, np.zeros_like(y), y)
    made = {"ce": {0: never}, "m": runs["m"]}
    row = compare_to_reference(made, y, "ce", measured("positive_precision"), num_classes=3, draws=200)["m"]
    one = runs["m"][0]
    assert row.difference == pytest.approx((y[one.decided == 2] == 2).mean())


# ---- weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [*METRICS, "precision@recall=0.5", "recall@precision=0.6"])
def test_a_row_of_weight_k_is_k_rows_in_a_difference(metric: str) -> None:
    rng = np.random.default_rng(7)
    y = np.sort(rng.choice(3, 120, p=[0.6, 0.3, 0.1]))
    k = rng.integers(0, 4, 120)
    weighted, copied = {}, {}
    for m, signal in (("ce", 1.0), ("m", 2.0)):
        one = rows_of(y, signal, rng, k.astype(float))
        weighted[m] = {0: one}
        copied[m] = {0: Rows(one.probs.repeat(k, axis=0), one.decided.repeat(k), y.repeat(k))}
    found = compare_to_reference(
        weighted, y, "ce", measured(metric), num_classes=3, draws=200, sample_weight=k.astype(float)
    )
    expected = compare_to_reference(copied, y.repeat(k), "ce", measured(metric), num_classes=3, draws=200)
    assert found["m"].difference == pytest.approx(expected["m"].difference, abs=1e-12)
    assert found.num_examples == (k > 0).sum()  # a row is drawn as one, whatever it counts as


# ---- direction ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("cost", "leads ce by {0} lower cost per row (simultaneous 95 % interval {1} to {2})"),
        ("log_loss", "leads ce by {0} lower log loss (simultaneous 95 % interval {1} to {2})"),
        ("positive_recall", "leads ce by {0} points of recall of 'fraud' (simultaneous 95 % interval"),
        ("classwise_ece", "leads ce by {0} points lower classwise ECE (simultaneous 95 % interval"),
    ],
)
def test_who_leads_follows_the_direction_of_the_metric(metric: str, words: str) -> None:
    y, runs = three(4, n=1500)
    found = compare_to_reference(runs, y, "ce", measured(metric), num_classes=3, draws=1000)
    sign = 1 if METRICS[metric].higher_is_better else -1
    row = found["m"]
    assert sign * row.difference > 0
    said = verdict(found)
    assert said.winners[0] == said.leader == "m"
    assert not said.losers
    ends = [sign * end for end in (row.difference, row.low, row.high)]
    ends = [ends[0], *sorted(ends[1:])]
    shown = [f"{100 * end:.1f}" for end in ends] if METRICS[metric].fraction else alike(ends)
    assert words.format(*shown) in said.sentence


def test_the_worse_of_a_metric_where_lower_is_better_is_called_higher() -> None:
    y, runs = three(4, n=1500)
    swapped = {"ce": runs["m"], "m": runs["ce"]}
    found = compare_to_reference(swapped, y, "ce", measured("log_loss"), num_classes=3, draws=1000)
    said = verdict(found)
    assert said.losers == ("m",)
    row = found["m"]
    assert f"difference of m is {alike([row.difference, row.high])[0]} higher log loss" in said.sentence


def test_the_best_post_hoc_row_has_the_lowest_cost() -> None:
    y, runs = three(3, n=600)
    found = verdict_on_retraining(
        {"ce": runs["ce"], "low": runs["m"], "high": runs["t"], "own": runs["t"]},
        y, plain="ce", posthoc=["low", "high"], metric=measured("cost"), num_classes=3,
    )  # fmt: skip
    assert found is not None
    assert found[0].reference == "low"


def test_differences_end_where_the_metric_ends() -> None:
    y, runs = three(2, n=30)
    wide = compare_to_reference(runs, y, "ce", measured("mcc"), num_classes=3, draws=200, level=0.999)
    assert wide["m"].high == 2.0  # of correlations, -1 to 1
    costs = compare_to_reference(runs, y, "ce", measured("cost"), num_classes=3, draws=200, level=0.9999)
    assert costs["m"].low == -10.0


# ---- the interval of a row --------------------------------------------------------------------------------------


def test_the_interval_of_a_row_has_students_width() -> None:
    from scipy.stats import t

    rows = [Seeds(np.array([0.5, 0.7, 0.6]), 0.0), Seeds(np.array([0.4, 0.4, 0.4]), 0.01)]
    (low, high), still = row_intervals(rows, (0.0, 1.0))
    half = t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half))
    assert still[0] < 0.4 - 1.96 * 0.1  # the spread of seeds is common to all rows


def test_two_runs_that_decide_alike_are_the_same_to_decisions_only() -> None:
    y, runs = three(1)
    sharper = runs["ce"][0].probs ** 2
    twin = Rows(sharper / sharper.sum(axis=1, keepdims=True), runs["ce"][0].decided, y)
    made = {"ce": runs["ce"], "m": {0: twin}}
    assert compare_to_reference(made, y, "ce", measured("mcc"), num_classes=3, draws=200)["m"].se == 0.0
    assert compare_to_reference(made, y, "ce", measured("log_loss"), num_classes=3, draws=200)["m"].se > 0.0


# ---- refused ------------------------------------------------------------------------------------------------------


def test_metrics_that_cannot_be_judged_are_refused() -> None:
    y, runs = three(1)
    with pytest.raises(ValueError, match=r"metric must be .*got 'mc'.*did you mean mcc"):
        measure_of("mc", 3)
    with pytest.raises(ValueError, match=r"metric positive_recall is of one class, got no class; .*--positive"):
        measure_of("positive_recall", 3)
    with pytest.raises(ValueError, match=r"metric cost needs what mistakes cost, got nothing; add --cost"):
        measure_of("cost", 3)
    with pytest.raises(ValueError, match="predictions must be probabilities for metric log_loss, got classes"):
        compare_to_reference({m: {0: r[0].decided} for m, r in runs.items()}, y, "ce", "log_loss", num_classes=3)
    none = Rows(runs["ce"][0].probs[y < 2], y[y < 2], y[y < 2])
    with pytest.raises(ValueError, match="metric positive_recall is undefined on these test rows"):
        measured("positive_recall").judged(none)
    assert isinstance(measured("mcc").judged(runs["ce"][0]), Judged)
