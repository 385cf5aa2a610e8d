"""Precision-recall curves of the rarest classes, one for each as a mean over seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

from longtail.comparison.diagnostics.row_runs import RowRuns
from longtail.metrics.recall_steps import mean_steps, recall_steps

RAREST = 4
"""Classes that have a curve at most."""
MOST = 32
"""Points of a curve."""
DIGITS = 4


def curves(rows: RowRuns) -> dict[str, Any]:
    """Return the entry `curves`: class name -> `recall`, `precision`, `ap` and `share`.

    Rows are ranked by the probability of the class before any rule, so that a method which corrects only decisions has
    the curve of its training. From `recall[k - 1]`, or 0, to `recall[k]` the precision is `precision[k]`, the mean of
    the seeds there; the area is `ap`, the mean of their average precisions. `share` is the weighted share of the class
    in the test part, the precision of a list in any order. Classes without a test row are left out.
    """
    found: dict[str, Any] = {}
    for j in np.argsort(np.asarray(rows.class_counts), kind="stable"):
        tests = [run.test for run in rows.runs]
        made = [recall_steps(test.log_probs[:, j], test.targets == j, test.weight) for test in tests]
        known = [steps for steps in made if steps is not None]
        if len(known) < len(tests) or not tests:
            continue
        whole = mean_steps(known)
        drawn = whole.thinned(MOST)
        found[rows.classes[j]] = {
            "recall": drawn.recall.round(DIGITS).tolist(),
            "precision": drawn.precision.round(DIGITS).tolist(),
            "ap": whole.average_precision,
            "share": float(np.average(tests[0].targets == j, weights=tests[0].weight)),
        }
        if len(found) == RAREST:
            break
    return {"curves": found} if found else {}
