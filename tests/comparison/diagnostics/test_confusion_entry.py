"""The confusion of a row: scikit-learn's matrix as a mean over seeds, and the worst pairs of many classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix
from tests.cases import cases
from tests.comparison.diagnostics.scored_rows import row_runs

from longtail.comparison.diagnostics.confusion import MOST, confusion
from longtail.facts.intervals import wilson


def expected(rows: object) -> np.ndarray:
    """The mean over seeds of scikit-learn's matrices."""
    runs = rows.runs  # type: ignore[attr-defined]
    labels = range(len(rows.classes))  # type: ignore[attr-defined]
    return np.mean(
        [
            confusion_matrix(run.test.targets, run.test.decided, labels=labels, sample_weight=run.test.weight)
            for run in runs
        ],
        axis=0,
    )


@cases("weighted", [False, True])
def test_the_matrix_is_scikit_learns(weighted: bool) -> None:
    rows = row_runs(seeds=3, weighted=weighted, classes=MOST)
    matrix = confusion(rows)["confusion"]["matrix"]
    np.testing.assert_allclose(matrix, expected(rows), rtol=1e-6)
    assert all(isinstance(n, int) for line in confusion(row_runs(seeds=1))["confusion"]["matrix"] for n in line)


@cases("weighted", [False, True])
def test_many_classes_are_the_worst_pairs(weighted: bool) -> None:
    rows = row_runs(rows=600, classes=MOST + 1, weighted=weighted)
    pairs = confusion(rows)["confusion"]["pairs"]
    matrix = expected(rows)
    totals = matrix.sum(1)
    lows = []
    for pair in pairs:
        i, j = rows.classes.index(pair["true"]), rows.classes.index(pair["predicted"])
        assert i != j
        assert pair["count"] == pytest.approx(matrix[i, j], rel=1e-6)
        assert pair["share"] == pytest.approx(matrix[i, j] / totals[i])
        lows.append(float(wilson(matrix[i, j], totals[i])[0]))
    every = [wilson(matrix[i, j], totals[i])[0] for i in range(MOST + 1) for j in range(MOST + 1) if i != j]
    np.testing.assert_allclose(lows, sorted(every)[::-1][: len(pairs)], rtol=1e-9)
    assert len(pairs) == 20


def test_one_row_that_went_wrong_is_not_the_worst() -> None:
    rows = row_runs(seeds=1, rows=202, classes=MOST + 1)
    targets = np.r_[0, np.ones(1), np.full(200, 2)].astype(np.int64)
    decided = np.r_[5, np.ones(1), np.full(150, 3), np.full(50, 2)].astype(np.int64)
    run = rows.runs[0]
    pairs = confusion(replace(rows, runs=(replace(run, test=replace(run.test, targets=targets, decided=decided)),)))
    assert [(p["true"], p["predicted"], p["share"]) for p in pairs["confusion"]["pairs"]] == [
        ("c2", "c3", 0.75), ("c0", "c5", 1.0),
    ]  # fmt: skip


def test_no_mistake_is_no_pair_and_no_run_nothing() -> None:
    rows = row_runs(classes=MOST + 1)
    right = [replace(run, test=replace(run.test, decided=run.test.targets)) for run in rows.runs]
    assert confusion(replace(rows, runs=tuple(right))) == {"confusion": {"pairs": []}}
    assert confusion(replace(rows, runs=())) == {}
