"""The registry: values by plain loops, influences by numeric derivatives, weights as copies, errors in one line."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.cases import cases

from longtail.metrics import METRICS, Rows, metric

C, N = 4, 60
JUMPS = {"worst_class", "g_mean"}
LEVELS = ("precision@recall=0.5", "recall@precision=0.4")


def rows(seed: int, n: int = N, ties: int = 1, whole: bool = False) -> Rows:
    """Probabilities with ties, decisions by another rule, classes of which the last is absent, weights with zeros."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1, 2], rng.choice(3, n - 3, p=[0.6, 0.3, 0.1])])
    z = rng.normal(size=(n, C)) + 1.5 * np.eye(C)[y]
    p = np.round(np.exp(z) / np.exp(z).sum(1, keepdims=True), ties) + 0.02
    p /= p.sum(1, keepdims=True)
    p = p[rng.integers(0, n, n)] if seed % 2 else p  # whole rows alike
    weight = rng.integers(0, 4, n).astype(float) if whole else rng.exponential(size=n) + 0.05
    weight[:3] = 1.0
    return Rows(p, (p * [1.0, 1.5, 2.0, 0.8]).argmax(1), y, weight, positive=1, cost=rng.random((C, C)) - 0.3)


def by_hand(r: Rows) -> dict[str, float]:
    """Each metric in plain loops, from its definition."""
    p, d, y, w = (part.tolist() for part in (r.probs, r.decided, r.targets, r.weights))
    n, total = range(len(y)), sum(w)
    hit = [sum(w[i] for i in n if y[i] == d[i] == k) for k in range(C)]
    of = [sum(w[i] for i in n if y[i] == k) for k in range(C)]
    said = [sum(w[i] for i in n if d[i] == k) for k in range(C)]
    recall = [hit[k] / of[k] for k in range(C) if of[k]]
    known = [k for k in range(C) if of[k] + said[k]]
    f1 = {k: 2 * hit[k] / (of[k] + said[k]) for k in known}
    precision = {k: hit[k] / said[k] if said[k] else 0.0 for k in known}

    def average_precision(k: int) -> float:
        found, before = 0.0, 0.0
        for t in sorted({row[k] for row in p}, reverse=True):
            true = sum(w[i] for i in n if p[i][k] >= t and y[i] == k)
            both = sum(w[i] for i in n if p[i][k] >= t)
            if both:
                found += (true - before) / of[k] * true / both
            before = true
        return found

    def roc_auc(k: int) -> float:
        wins = sum(
            w[i] * w[j] * (1.0 if p[i][k] > p[j][k] else 0.5 if p[i][k] == p[j][k] else 0.0)
            for i in n for j in n if y[i] == k != y[j]
        )  # fmt: skip
        return wins / (of[k] * (total - of[k]))

    def binned(confidence: list[float], right: list[bool]) -> float:
        gaps = [0.0] * 15
        for i in n:
            b = max(math.ceil(confidence[i] * 15 - 1e-9) - 1, 0)
            gaps[b] += w[i] * (right[i] - confidence[i])
        return sum(abs(gap) for gap in gaps) / total

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    right, present = sum(hit), [k for k in range(C) if of[k]]
    top = [row.index(max(row)) for row in p]
    spread = math.sqrt((total**2 - sum(a * a for a in said)) * (total**2 - sum(a * a for a in of)))
    cost = r.cost.tolist() if r.cost is not None else []
    return {
        "accuracy": right / total,
        "balanced_accuracy": mean(recall),
        "macro_f1": mean(list(f1.values())),
        "weighted_f1": sum(of[k] * f1[k] for k in known) / total,
        "g_mean": math.prod(recall) ** (1 / len(recall)),
        "mcc": (right * total - sum(a * b for a, b in zip(of, said, strict=True))) / spread,
        "precision": mean(list(precision.values())),
        "worst_class": min(recall),
        "average_precision": mean([average_precision(k) for k in present]),
        "roc_auc": mean([roc_auc(k) for k in present]),
        "log_loss": sum(-w[i] * math.log(p[i][y[i]]) for i in n) / total,
        "brier": sum(w[i] * sum(((y[i] == k) - p[i][k]) ** 2 for k in range(C)) for i in n) / total,
        "ece": binned([row[k] for row, k in zip(p, top, strict=True)], [y[i] == top[i] for i in n]),
        "classwise_ece": mean([binned([row[k] for row in p], [y[i] == k for i in n]) for k in range(C)]),
        "cost": sum(w[i] * cost[y[i]][d[i]] for i in n) / total,
        "positive_average_precision": average_precision(1),
        "positive_roc_auc": roc_auc(1),
        "positive_recall": hit[1] / of[1],
        "positive_precision": precision[1],
        "positive_f1": f1[1],
    }


@cases("seed", range(6))
def test_every_value_is_that_of_plain_loops(seed: int) -> None:
    r = rows(seed, ties=1 + seed % 3)
    expected = by_hand(r)
    assert expected.keys() == METRICS.keys()
    for name, value in expected.items():
        assert METRICS[name].value(r) == pytest.approx(value, abs=1e-12), name


@cases("seed", range(3))
@cases("name", METRICS)
def test_an_influence_is_the_derivative_by_the_weight_of_the_row(name: str, seed: int) -> None:
    r, eps = rows(seed), 1e-6
    found = METRICS[name].influence(r)
    assert found.sum() == pytest.approx(0.0, abs=1e-12)
    assert np.abs(found).max() > 1e-3
    for i in range(0, N, 5):
        ends = []
        for sign in (1, -1):
            weight = r.weights.copy()
            weight[i] *= 1 + sign * eps
            ends.append(METRICS[name].value(replace(r, weight=weight)))
        assert found[i] == pytest.approx((ends[0] - ends[1]) / (2 * eps), abs=2e-8), i


@cases("name", [*METRICS, *LEVELS])
def test_a_weight_of_k_is_k_copies_in_value_and_influence(name: str) -> None:
    r = rows(2, whole=True)
    k = r.weights.astype(int)
    again = Rows(
        np.repeat(r.probs, k, 0), np.repeat(r.decided, k), np.repeat(r.targets, k), positive=1, cost=r.cost
    )  # fmt: skip
    one = metric(name)
    assert one.value(r) == pytest.approx(one.value(again), abs=1e-12)
    together = np.bincount(np.repeat(np.arange(N), k), weights=one.influence(again), minlength=N)
    assert one.influence(r) == pytest.approx(together, abs=1e-12)
    assert one.influence(r)[k == 0] == pytest.approx(0.0)


@cases("name", [n for n in METRICS if n not in {*JUMPS, "ece", "classwise_ece"}])
def test_the_influences_predict_the_spread_of_resamples(name: str) -> None:
    r = replace(rows(4, n=400, ties=3), weight=None)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(400, np.full(400, 1 / 400), 150).astype(float)
    one = METRICS[name]
    values = np.array([one.value(replace(r, weight=weight)) for weight in drawn])
    first_order = one.value(r) + (drawn - 1) @ one.influence(r)
    assert np.corrcoef(values, first_order)[0, 1] > 0.97
    assert values.std() == pytest.approx(first_order.std(), rel=0.1)


@cases("name", ["precision@recall=0.5", "precision@recall=0.8", "recall@precision=0.7", "recall@precision=0.5"])
def test_a_level_has_the_spread_of_resamples_too(name: str) -> None:
    rng = np.random.default_rng(5)
    y = (rng.random(1500) < 0.2).astype(np.int64)
    score = 1 / (1 + np.exp(-rng.normal(size=1500) - 2.0 * y + 1.5))
    r = Rows(np.stack([1 - score, score], 1), (score > 0.5).astype(np.int64), y, positive=1)
    one = metric(name)
    drawn = rng.multinomial(1500, np.full(1500, 1 / 1500), 120).astype(float)
    values = np.array([one.value(replace(r, weight=weight)) for weight in drawn])
    first_order = (drawn - 1) @ one.influence(r)
    assert values.std() == pytest.approx(first_order.std(), rel=0.3)
    assert np.corrcoef(values, first_order)[0, 1] > 0.8
    assert one.influence(r).sum() == pytest.approx(0.0, abs=1e-10)


def test_one_class_metrics_are_of_the_positive_class() -> None:
    r = rows(0)
    for other in (0, 2):
        for name in ("recall", "average_precision"):
            assert METRICS[f"positive_{name}"].value(r) != METRICS[f"positive_{name}"].value(replace(r, positive=other))
    absent = replace(r, positive=3, decided=np.zeros(N, np.int64))
    for name in ("recall", "precision", "f1", "average_precision", "roc_auc"):
        assert math.isnan(METRICS[f"positive_{name}"].value(absent))
        assert not METRICS[f"positive_{name}"].influence(absent).any()
    for name in LEVELS:
        assert math.isnan(metric(name).value(absent))
        assert not metric(name).influence(absent).any()


def test_where_a_metric_jumps_its_influence_is_nought() -> None:
    r = Rows(np.full((4, 2), 0.5), np.zeros(4, np.int64), np.array([0, 0, 1, 1]))
    assert METRICS["g_mean"].value(r) == METRICS["mcc"].value(r) == 0.0
    assert not METRICS["g_mean"].influence(r).any()
    assert not METRICS["mcc"].influence(r).any()
    alone = replace(r, targets=np.zeros(4, np.int64))
    assert METRICS["average_precision"].value(alone) == 1.0
    assert math.isnan(METRICS["roc_auc"].value(alone))  # nothing to rank against


def test_what_a_metric_is() -> None:
    assert {name for name, one in METRICS.items() if not one.higher_is_better} == {
        "log_loss", "brier", "ece", "classwise_ece", "cost",
    }  # fmt: skip
    assert {name for name, one in METRICS.items() if one.needs == "cost"} == {"cost"}
    assert {name for name, one in METRICS.items() if one.needs == "positive"} == {
        name for name in METRICS if name.startswith("positive_")
    }
    assert metric("macro_f1") is METRICS["macro_f1"]
    point = metric("precision@recall=0.90")
    assert (point.name, point.label, point.needs) == ("precision@recall=0.9", "precision at recall 0.9", "positive")
    assert METRICS["brier"].reads == "probabilities"
    assert METRICS["mcc"].reads == "decisions"


@cases(
    ("name", "line"),
    [
        ("f1_macro", "metric must be a metric that longtail has, got 'f1_macro'; did you mean macro_f1"),
        ("xyz", "got 'xyz'; choose one of accuracy, balanced_accuracy"),
        ("precision@recall=1.5", r"must have a level in \(0, 1\], got 'precision@recall=1.5'; write precision@recall"),
        ("recall@precision", r"metric recall@precision must have a level in \(0, 1\], got 'recall@precision'"),
        ("recall@precision=high", "write recall@precision=0.9"),
    ],
)
def test_unknown_names_are_one_line(name: str, line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        metric(name)
    assert "\n" not in str(error.value)


def test_bad_rows_are_one_line() -> None:
    r = rows(0)
    for change, line in (
        ({"probs": np.zeros((0, 2))}, r"probs must have shape \(N, C\)"),
        ({"decided": np.zeros(3, np.int64)}, r"decided must have shape \(60,\), got \(3,\)"),
        ({"targets": np.full(N, 4)}, r"targets must lie in \[0, 4\), got 4 to 4"),
        ({"weight": np.ones(2)}, r"weight must have shape \(60,\), got \(2,\)"),
        ({"weight": np.zeros(N)}, "weight must be finite, >= 0 and > 0 for some row"),
        ({"positive": 4}, r"positive must lie in \[0, 4\), got 4"),
        ({"cost": np.zeros((3, 3))}, r"cost must have shape \(4, 4\) and be finite, got shape \(3, 3\)"),
    ):
        with pytest.raises(ValueError, match=line):
            replace(r, **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive must be given for a metric of one class, got None; name the class"):
        METRICS["positive_f1"].value(replace(r, positive=None))
    with pytest.raises(
        ValueError, match=r"cost must be given for the metric cost, got None; give Cost\[true, decided\]"
    ):
        METRICS["cost"].value(replace(r, cost=None))
