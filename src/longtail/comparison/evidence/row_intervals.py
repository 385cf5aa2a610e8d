"""The interval of every metric of every row, each by itself: how far its mean over seeds would move on other test rows.

The mean over S seeds has variance V + sigma^2 / S: V of the choice of test examples, from the mean influence of every
example (`influences`), sigma^2 of a seed, pooled over the methods that vary, but for those whose own estimate is more
than `APART` times the median of all: they keep their own. The interval is mean -+ t se, t the quantile of Student's
distribution with Satterthwaite's degrees of freedom, se^4 / ((sigma^2 / S)^2 / df), since V counts as known. Unlike the
differences of a comparison these intervals are not simultaneous, and unpaired.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from longtail.comparison.evidence.influences import Judged, variance, width_where_all_fail
from longtail.metrics.rates import Floats

APART = 10.0
"""A share of 3 in 100 of estimates from two seeds exceed the median so far by chance."""
_NONE = 1e-24


class Seeds(NamedTuple):
    """One metric of one row: its value in every seed (S,), and the variance of their mean over test examples."""

    values: Floats
    variance: float


def over_seeds(runs: Sequence[Judged]) -> Seeds:
    """Return the statistics of a row from its runs, which were tested on the same examples."""
    names = ("influence", "parts", "room")
    influence, parts, room = (np.mean([getattr(run, name) for run in runs], axis=0) for name in names)
    strata = runs[0].strata
    moved = variance(influence, parts, strata) + float((width_where_all_fail(room, strata) ** 2).sum())
    return Seeds(np.array([run.value for run in runs]), moved)


def row_intervals(rows: Sequence[Seeds], ends: tuple[float, float], level: float = 0.95) -> list[tuple[float, float]]:
    """Return the interval of every row, within the range of the metric."""
    from scipy.stats import norm, t

    spread = np.array([row.values.var(ddof=1) if len(row.values) > 1 else 0.0 for row in rows])
    free = np.array([len(row.values) - 1 for row in rows])
    varying = spread > _NONE
    apart = varying & (spread > APART * (np.median(spread[varying]) if varying.any() else 0.0))
    pool = varying & ~apart
    df = int(free[pool].sum())
    pooled = float(spread[pool] @ free[pool]) / df if df else 0.0
    made = []
    for row, own, one_free, alone in zip(rows, spread, free, apart, strict=True):
        part = (own if alone else pooled) / len(row.values)
        se = np.sqrt(row.variance + part)
        degrees = (one_free if alone else df) * se**4 / part**2 if part > 0 else np.inf
        half = se * (t.ppf((1 + level) / 2, degrees) if np.isfinite(degrees) else norm.ppf((1 + level) / 2))
        low, high = np.clip([row.values.mean() - half, row.values.mean() + half], *ends)
        made.append((float(low), float(high)))
    return made
