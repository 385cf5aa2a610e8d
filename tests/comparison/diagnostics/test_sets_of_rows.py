"""Sets of a row: coverage and size by class are those of plain loops, from validation rows and across folds."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.posthoc.sets import set_formulas

from longtail.comparison.diagnostics import RowRuns, diagnosed
from longtail.comparison.diagnostics.sets import sets
from longtail.facts.beta_binomial import covered_interval
from longtail.runs.scored import ScoredRows, ScoredRun

CLASSES = ("a", "b", "c")


def rows(sizes: tuple[int, ...], seed: int, folds: int = 0, weight: Any = None) -> ScoredRows:
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), sizes)
    logits = 2 * draw.normal(size=(len(y), 3))
    logits[np.arange(len(y)), y] += 1
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    fold = np.arange(len(y)) % folds if folds else None
    return ScoredRows(logs, logs.argmax(1), y, weight, np.arange(len(y)), fold)


def run(test: ScoredRows, val: ScoredRows | None) -> ScoredRun:
    return ScoredRun(Path(), test, val, CLASSES, np.array([90.0, 30.0, 6.0]), np.full(3, 1 / 3))


def row(*runs: ScoredRun, level: float = 0.8) -> RowRuns:
    return RowRuns("ce", runs, CLASSES, runs[0].class_counts, level)


def by_hand(test: ScoredRows, calibration: ScoredRows, level: float) -> list[list[int]]:
    """The set of each test row; of folds from the rows of all others."""
    found = []
    for i, logs in enumerate(test.log_probs):
        others = range(len(calibration.targets))
        if test.fold is not None:
            others = [k for k in others if test.fold[k] != test.fold[i]]
        probs = [np.exp(calibration.log_probs[k]).tolist() for k in others]
        labels = [int(calibration.targets[k]) for k in others]
        found.append(set_formulas.split_set(set_formulas.lac, probs, labels, level, np.exp(logs).tolist()))
    return found


@pytest.mark.parametrize("folds", [0, 4])
def test_coverage_and_size_are_those_of_plain_loops(folds: int) -> None:
    test = rows((30, 12, 4), 0, folds)
    val = None if folds else rows((25, 9, 3), 1)
    entry = sets(row(run(test, val)))["sets"]
    made = by_hand(test, test if val is None else val, 0.8)
    assert entry["kind"] == ("cross" if folds else "split")
    assert entry["needs"] == 4
    assert entry["mean_size"] == pytest.approx(np.mean([len(s) for s in made]))
    assert entry["coverage"] == pytest.approx(np.mean([y in s for y, s in zip(test.targets, made, strict=True)]))
    assert entry["empty"] == pytest.approx(np.mean([not s for s in made]))
    for c, one in enumerate(entry["classes"]):
        mine = [s for y, s in zip(test.targets, made, strict=True) if y == c]
        assert one["coverage"] == pytest.approx(np.mean([c in s for s in mine]))
        assert one["size"] == pytest.approx(np.mean([len(s) for s in mine]))
        assert one["tested"] == len(mine)


def test_across_folds_coverage_is_nearer_the_level_than_that_of_new_rows() -> None:
    """Rows calibrate for each other; over fresh validation rows one class in twenty is outside of its interval."""
    inside, split = [], []
    for seed in range(60):
        across = sets(row(run(rows((40, 30, 20), seed, 5), None)))["sets"]["classes"]
        fresh = sets(row(run(rows((40, 30, 20), seed), rows((32, 24, 16), 1000 + seed))))["sets"]["classes"]
        inside += [one["low"] <= one["coverage"] <= one["high"] for one in across]
        split += [one["low"] <= one["coverage"] <= one["high"] for one in fresh]
    assert all(inside)
    assert 0.9 < np.mean(split) < 1


def test_a_class_with_too_few_rows_has_no_promise_and_no_interval() -> None:
    first, _, last = sets(row(run(rows((30, 12, 4), 0), rows((25, 9, 3), 1))))["sets"]["classes"]
    assert (first["n"], first["promised"]) == (25, True)
    low, high = covered_interval(30, math.ceil(26 * 0.8), 25)
    assert (first["low"], first["high"]) == (low / 30, high / 30)
    assert last == {
        "n": 3, "promised": False, "tested": 4, "coverage": 1.0, "low": None, "high": None, "size": last["size"],
    }  # fmt: skip


def test_seeds_are_averaged_and_do_not_narrow_the_interval() -> None:
    one, two = (run(rows((30, 12, 4), seed), rows((25, 9, 3), 1)) for seed in (0, 5))
    both, first, second = (sets(row(*runs))["sets"] for runs in ((one, two), (one,), (two,)))
    assert both["mean_size"] == pytest.approx((first["mean_size"] + second["mean_size"]) / 2)
    for c in range(3):
        mean = (first["classes"][c]["coverage"] + second["classes"][c]["coverage"]) / 2
        assert both["classes"][c]["coverage"] == pytest.approx(mean)
        assert both["classes"][c]["low"] == first["classes"][c]["low"]


def test_a_row_of_weight_k_is_k_rows() -> None:
    weight = np.random.default_rng(3).integers(0, 3, 46)
    copies = np.repeat(np.arange(46), weight)
    plain = rows((30, 12, 4), 0)
    weighed = ScoredRows(plain.log_probs, plain.decided, plain.targets, weight.astype(float), plain.index)
    copied = ScoredRows(
        plain.log_probs[copies], plain.decided[copies], plain.targets[copies], None, np.arange(len(copies))
    )
    other = rows((40, 20, 8), 4)
    for left, right in (((weighed, other), (copied, other)), ((other, weighed), (other, copied))):
        found, expected = sets(row(run(*left)))["sets"], sets(row(run(*right)))["sets"]
        for key in ("coverage", "mean_size", "empty"):
            assert found[key] == pytest.approx(expected[key])
        for a, b in zip(found["classes"], expected["classes"], strict=True):
            assert a == pytest.approx(b)


def test_runs_without_rows_to_calibrate_on_have_no_entry_and_an_absent_class_no_coverage() -> None:
    assert sets(row(run(rows((30, 12, 4), 0), None))) == {}
    assert sets(row(replace(run(rows((30, 12, 4), 0), rows((25, 9, 3), 1)), chosen=True))) == {}
    assert sets(row(replace(run(rows((30, 12, 4), 0, 4), None), chosen=True))) == {}
    entry = diagnosed(row(run(rows((30, 12, 0), 0), rows((25, 9, 3), 1))))["sets"]
    assert entry["classes"][2]["coverage"] is None
    assert entry["classes"][2]["size"] is None
    entry = sets(row(run(rows((30, 12, 0), 0), rows((25, 9, 9), 1))))["sets"]
    assert entry["classes"][2] == {
        "n": 9, "promised": True, "tested": 0, "coverage": None, "low": None, "high": None, "size": None,
    }  # fmt: skip
