"""Finished runs made by hand, as a diagnostic gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longtail.comparison.diagnostics import RowRuns
from longtail.runs.scored import ScoredRows, ScoredRun


def row_runs(seeds: int = 2, rows: int = 120, classes: int = 5, *, weighted: bool = False, **changes: Any) -> RowRuns:
    """Runs that tested the same rows: classes drawn evenly, scores that know them a little, decisions by the argmax."""
    generator = np.random.default_rng(7)
    targets = generator.integers(classes, size=rows)
    weight = generator.choice([0.5, 1.0, 2.0], rows) if weighted else None
    names = tuple(f"c{j}" for j in range(classes))
    counts = np.array([100.0 // (j + 1) for j in range(classes)])
    runs = []
    for _ in range(seeds):
        scores = generator.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[targets]
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        tested = ScoredRows(logs, logs.argmax(1), targets, weight, np.arange(rows))
        runs.append(ScoredRun(Path("run"), tested, None, names, counts, counts / counts.sum()))
    return RowRuns(**{"spec": "ce", "runs": tuple(runs), "classes": names, "class_counts": counts, **changes})
