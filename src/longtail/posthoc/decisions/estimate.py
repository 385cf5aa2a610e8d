"""What a decision is worth on rows that it was not chosen on, with intervals.

Decisions of all folds are pooled, each made by what was chosen on the other folds; their value is one value of all
rows, not a mean of five. Intervals are percentiles over resamples of the rows, the choices fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from longtail.posthoc.decisions.objectives import Objective
from longtail.posthoc.decisions.rows import Floats, Ints, WeightedRows
from longtail.posthoc.decisions.tallies import measured, one_class, value_of_all

RESAMPLES = 400
LEVEL = 0.95


def judged(
    rows: WeightedRows,
    decided: Ints,
    plain: Ints,
    goal: Objective,
    positive: int | None,
    cost: Floats | None,
    chance: np.random.Generator,
) -> dict[str, Any]:
    """Return the entries value, argmax and gain, and condition where the objective is one, of decisions on rows.

    Every row counts Poisson(weight) times in a resample, which is a weight k as k copies.

    Args:
        rows: (N,) rows.
        decided: (N,) decisions.
        plain: (N,) decisions of the largest probability.
        goal, positive, cost: the objective.
        chance: draws the resamples.
    """
    cells, inverse = np.unique(np.stack([rows.targets, decided, plain], 1), axis=0, return_inverse=True)
    total = np.bincount(inverse.reshape(-1), rows.weight, len(cells))
    drawn = chance.poisson(total, (RESAMPLES, len(cells))).astype(np.float64)
    drawn = np.concatenate([total[None], drawn[drawn.sum(1) > 0]])
    y = cells[:, 0]
    ours, other = (_measures(goal, y, cells[:, column], drawn, rows.classes, positive, cost) for column in (1, 2))
    sign = -1.0 if goal.name == "cost" else 1.0
    entry: dict[str, Any] = {
        "value": interval(ours["value"]),
        "argmax": interval(other["value"]),
        "gain": interval(sign * (ours["value"] - other["value"])),
    }
    if goal.bounded:
        entry["condition"] = {"name": goal.name, "bound": goal.bound, **interval(ours["condition"])}
    return entry


def interval(values: Floats) -> dict[str, float | None]:
    """Return value, low and high from the value itself, first, and those of resamples; None where undefined."""
    rest = values[1:][~np.isnan(values[1:])]
    share = (1 - LEVEL) / 2
    low, high = np.quantile(rest, [share, 1 - share]) if len(rest) else (np.nan, np.nan)
    return {name: finite(v) for name, v in (("value", values[0]), ("low", low), ("high", high))}


def finite(value: Any) -> float | None:
    """Return a number, or None in place of NaN."""
    return None if np.isnan(value) else float(value)


def _measures(
    goal: Objective, y: Ints, decided: Ints, drawn: Floats, classes: int, positive: int | None, cost: Floats | None
) -> dict[str, Floats]:
    n = drawn.sum(1)
    if goal.name == "cost":
        assert cost is not None
        return {"value": drawn @ cost[y, decided] / n}
    marks = np.eye(classes)
    hits = drawn @ (marks[y] * (y == decided)[:, None])
    support, predicted = drawn @ marks[y], drawn @ marks[decided]
    if goal.of_all:
        return {"value": value_of_all(goal.name, hits, support, predicted)}
    assert positive is not None
    of_it = (hits[:, positive], support[:, positive], predicted[:, positive])
    if not goal.bounded:
        return {"value": one_class(goal, *of_it, n)}
    condition = of_it[2] if goal.top else measured(goal.name, *of_it, n)
    return {"value": measured(goal.maximises, *of_it, n), "condition": condition}
