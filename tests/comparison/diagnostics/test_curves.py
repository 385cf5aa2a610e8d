"""Curves of a row: the rarest classes that were tested, areas of scikit-learn, and few points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from tests.cases import cases
from tests.comparison.diagnostics.scored_rows import row_runs

from longtail.comparison.diagnostics.curves import MOST, RAREST, curves


@cases("weighted", [False, True])
def test_areas_are_means_over_seeds_of_scikit_learns_and_those_of_the_points(weighted: bool) -> None:
    rows = row_runs(seeds=3, rows=900, weighted=weighted)
    found = curves(rows)["curves"]
    assert list(found) == ["c4", "c3", "c2", "c1"]  # the rarest first
    for name, curve in found.items():
        j = rows.classes.index(name)
        areas = [
            average_precision_score(run.test.targets == j, run.test.log_probs[:, j], sample_weight=run.test.weight)
            for run in rows.runs
        ]
        assert curve["ap"] == pytest.approx(np.mean(areas), rel=1e-9)
        assert len(curve["recall"]) == len(curve["precision"]) <= MOST
        assert curve["recall"][-1] == 1.0
        drawn = np.diff([0.0, *curve["recall"]]) @ curve["precision"]
        assert drawn == pytest.approx(curve["ap"], abs=2e-4)  # four digits are kept
        weight = rows.runs[0].test.weight
        positive = rows.runs[0].test.targets == j
        share = positive.mean() if weight is None else (weight * positive).sum() / weight.sum()
        assert curve["share"] == pytest.approx(share)


def test_classes_without_a_test_row_are_left_out() -> None:
    rows = row_runs(classes=6)
    tests = [replace(run, test=replace(run.test, targets=run.test.targets % 3)) for run in rows.runs]
    assert list(curves(replace(rows, runs=tuple(tests)))["curves"]) == ["c2", "c1", "c0"]
    assert curves(replace(rows, runs=())) == {}
    assert len(curves(row_runs(classes=9))["curves"]) == RAREST


def test_a_rule_that_only_decides_has_no_influence() -> None:
    rows = row_runs()
    other = [replace(run, test=replace(run.test, decided=np.zeros_like(run.test.decided))) for run in rows.runs]
    assert curves(replace(rows, runs=tuple(other))) == curves(rows)
