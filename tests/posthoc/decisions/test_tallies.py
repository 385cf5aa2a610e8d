"""What thresholds are chosen for is the metric of the same name: two formulas, one to search with and one to judge."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longtail.metrics import METRICS, Rows, metric
from longtail.posthoc.decisions.objectives import OF_ALL, OF_ONE, objective, objective_of
from longtail.posthoc.decisions.rows import weighted_rows
from longtail.posthoc.decisions.tallies import counts, measured, value
from longtail.posthoc.decisions.thresholds import Cuts, cut_values


def drawn(seed: int) -> tuple[Rows, np.ndarray]:
    """Rows of 2 to 5 classes, some of them absent or never decided, with no weights, counts or fractions."""
    chance = np.random.default_rng(seed)
    size, n = 2 + seed % 4, int(chance.integers(3, 40))
    probs = chance.dirichlet(np.ones(size), n)
    targets = chance.choice(size, n, p=chance.dirichlet(np.full(size, 0.5)))
    decided = chance.choice(size, n, p=chance.dirichlet(np.full(size, 0.5)))
    weight = [None, chance.integers(0, 4, n).astype(float), chance.random(n)][seed % 3]
    if weight is not None and weight.sum() == 0:
        weight[0] = 1.0
    rows = Rows(probs, decided, targets, weight, int(chance.integers(size)), chance.random((size, size)))
    return rows, np.ones(n) if weight is None else weight


def same(found: float, expected: float) -> bool:
    """Equal; what is undefined for a metric is worth nothing to a search."""
    return found == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-12)


@pytest.mark.parametrize("name", OF_ALL)
def test_an_objective_of_all_classes_is_the_metric(name: str) -> None:
    for seed in range(60):
        rows, weight = drawn(seed)
        found = value(objective(name), rows.targets, rows.decided, weight, rows.num_classes, cost=rows.cost)
        assert same(-found if name == "cost" else found, METRICS[name].value(rows)), seed


def test_counts_of_one_class_are_its_metrics() -> None:
    for seed in range(60):
        rows, weight = drawn(seed)
        tally = counts(rows.targets, rows.decided, weight, rows.num_classes)
        hits, support, predicted = (part[rows.positive] for part in tally)
        for name in ("recall", "precision"):
            found = float(measured(name, hits, support, predicted, weight.sum()))
            expected = METRICS[f"positive_{name}"].value(rows)
            assert found == pytest.approx(expected, abs=1e-12, nan_ok=True), (name, seed)
        found = value(objective("f1"), rows.targets, rows.decided, weight, rows.num_classes, positive=rows.positive)
        assert same(found, METRICS["positive_f1"].value(rows)), seed


@pytest.mark.parametrize("name", ["precision@recall=0.7", "recall@precision=0.4"])
def test_the_best_of_all_thresholds_for_a_condition_is_the_metric_at_that_point(name: str) -> None:
    reached = 0
    for seed in range(60):
        rows, _ = drawn(seed)
        expected = metric(name).value(rows)
        if not expected > 0:  # no row of the class, or no threshold that meets the condition
            continue
        found, k = weighted_rows(np.log(rows.probs), rows.targets, rows.weight, rows.num_classes), rows.positive
        assert k is not None
        goal = objective(objective_of(name) or "")
        values = cut_values(goal, *Cuts.of(found, k).tallies(found.weight[None]), None, k)
        assert values.max() == pytest.approx(1 + expected, abs=1e-12), seed
        reached += 1
    assert reached > 30


def test_every_objective_is_one_of_these() -> None:
    assert set(OF_ALL) <= set(METRICS)
    names = {objective(text).name for text in OF_ONE}
    assert names == {"fbeta", "recall", "precision", "alarms"}  # fbeta and alarms have no metric of their own
