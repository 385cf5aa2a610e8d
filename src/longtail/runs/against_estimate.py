"""New data against what was estimated before: differences with intervals, by metric and by class, and class shares.

Two independent estimates a (l_a, u_a) and b (l_b, u_b), each with its 95 % interval, differ by

    d = a - b,   from d - sqrt((a - l_a)^2 + (u_b - b)^2)   to d + sqrt((u_a - a)^2 + (b - l_b)^2)

(Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach", Statistics in
Medicine 27; "MOVER"). Whether a new value lies inside of the old interval is no such statement: that interval is of the
old rows alone, and the new value varies, too. An estimate that is a mean over S seeds, of standard deviation s, is of
other trainings than the model's own: (t s)^2, t the quantile of Student's t with S - 1 degrees of freedom, is added
under both roots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from longtail.facts.intervals import wilson

LEVEL = 0.95
Interval = Mapping[str, float]
"""mean, low and high."""


def difference(new: Interval, before: Interval, seeds: float = 0.0) -> dict[str, float]:
    """Return mean, low and high of new - before; `seeds` is half the width of the interval of one seed."""
    a, b = new["mean"], before["mean"]
    below = math.hypot(a - new["low"], before["high"] - b, seeds)
    above = math.hypot(new["high"] - a, b - before["low"], seeds)
    return {"mean": a - b, "low": a - b - below, "high": a - b + above}


def said(gap: Interval) -> str:
    """Return "lower", "higher", or "not shown" where the interval of a difference has 0."""
    return "lower" if gap["high"] < 0 else "higher" if gap["low"] > 0 else "not shown"


def half_width(std: float | None, seeds: int, level: float = LEVEL) -> float:
    """Return t s of the module for a standard deviation over seeds; 0 where it is not known."""
    return 0.0 if not std or seeds < 2 else float(stdtrit(seeds - 1, 0.5 + level / 2)) * std


def by_metric(new: Mapping[str, Interval], before: Mapping[str, Any], seeds: int = 0) -> dict[str, dict[str, Any]]:
    """Return, of the metrics that both have, new, expected, their difference and what it says."""
    found: dict[str, dict[str, Any]] = {}
    for name in new:
        if name in before:
            gap = difference(new[name], before[name], half_width(before[name].get("std"), seeds))
            found[name] = {"new": dict(new[name]), "expected": dict(before[name]), "difference": gap, "said": said(gap)}
    return found


def by_class(
    recall: Sequence[float | None], n: Sequence[float], before: Mapping[str, Any] | None, seeds: int = 0
) -> list[dict[str, Any]]:
    """Return a row per class: recall and n on new data and before, and their difference.

    Each interval is Wilson's at 1 - 0.05/C, so that all statements on the C classes together hold at 95 % (Bonferroni).
    """
    level = 1.0 - (1.0 - LEVEL) / len(recall)
    mine = _recalls(recall, n, level)
    none: list[Any] = [None] * len(recall)
    theirs = none if before is None else _recalls(before["recall"], before["n"], level)
    spread = none if before is None else before.get("std", none)
    rows: list[dict[str, Any]] = []
    for now, then, std, count in zip(mine, theirs, spread, n, strict=True):
        gap = None
        if now is not None and then is not None:
            gap = difference(now, then, half_width(std, seeds, level))
        rows.append(
            {"n": count, "new": now, "expected": then, "difference": gap, "said": None if gap is None else said(gap)}
        )
    return rows


def _recalls(recall: Sequence[float | None], n: Sequence[float], level: float) -> list[dict[str, float] | None]:
    known = np.array([0.0 if value is None else value for value in recall])
    size = np.asarray(n, dtype=np.float64)
    low, high = wilson(np.minimum(known * size, size), size, level)
    ends = zip(recall, low.tolist(), high.tolist(), strict=True)
    return [None if r is None or math.isnan(a) else {"mean": r, "low": a, "high": b} for r, a, b in ends]


def shares(counts: Sequence[float], training: Sequence[float]) -> dict[str, Any]:
    """Return how the class shares of the new rows differ from those of training.

    `distance` is the total variation, half the sum of absolute differences; `classes` have the share before, the new
    one with its Wilson interval at 1 - 0.05/C, and whether the share before lies outside of it ("lower", "higher").
    """
    n, before = np.asarray(counts, dtype=np.float64), np.asarray(training, dtype=np.float64)
    before = before / before.sum()
    now = n / n.sum()
    low, high = wilson(n, np.full(len(n), n.sum()), 1.0 - (1.0 - LEVEL) / len(n))
    rows = [
        {"training": b, "new": a, "low": x, "high": y, "said": "higher" if x > b else "lower" if y < b else "not shown"}
        for b, a, x, y in zip(before.tolist(), now.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
    return {"distance": float(np.abs(now - before).sum() / 2), "classes": rows}
