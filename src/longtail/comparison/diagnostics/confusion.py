"""Which classes are taken for which: a matrix of counts, or the worst pairs where classes are many."""

from __future__ import annotations

from typing import Any

import numpy as np

from longtail.comparison.diagnostics.row_runs import RowRuns
from longtail.facts.intervals import wilson

MOST = 20
"""Classes up to which there is a matrix, and pairs beyond."""


def confusion(rows: RowRuns) -> dict[str, Any]:
    """Return the entry `confusion`, means over seeds of sums of weights, as the methods' own rules decided.

    Up to 20 classes `matrix`, whose entry [i][j] counts the test rows of class i that were decided as j; beyond that
    `pairs`, the 20 mistakes with the largest `share` of the true class that its rows can show: they are ranked by the
    lower end of the share's Wilson interval, since of one row of a class always all go one way.
    """
    size, runs = len(rows.classes), [run.test for run in rows.runs]
    if not runs:
        return {}
    codes = np.concatenate([test.targets.astype(np.int64) * size + test.decided for test in runs])
    weights = np.concatenate([np.ones(len(test.targets)) if test.weight is None else test.weight for test in runs])
    if size <= MOST:
        counts = np.bincount(codes, weights / len(runs), minlength=size * size)
        return {"confusion": {"matrix": [[_number(n) for n in line] for line in counts.reshape(size, size)]}}
    # pairs that occur, not all pairs: eight thousand classes have 66 million
    pairs, place = np.unique(codes, return_inverse=True)
    counts = np.bincount(place, weights / len(runs))
    truth, decided = np.divmod(pairs, size)
    totals = np.bincount(truth, counts, minlength=size)[truth]
    wrong = np.flatnonzero((truth != decided) & (counts > 0))
    low, _ = wilson(np.minimum(counts, totals)[wrong], totals[wrong])
    worst = wrong[np.lexsort((pairs[wrong], -counts[wrong], -low))][:MOST]
    return {
        "confusion": {
            "pairs": [
                {
                    "true": rows.classes[truth[i]],
                    "predicted": rows.classes[decided[i]],
                    "share": float(counts[i] / totals[i]),
                    "count": _number(counts[i]),
                }
                for i in worst
            ]
        }
    }


def _number(count: float) -> int | float:
    value = float(f"{count:.7g}")  # a third of seeds in a few digits; sums of weights may be large or small
    return int(value) if value.is_integer() else value
