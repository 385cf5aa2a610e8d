"""Intervals of all differences of a comparison at once, from draws of their noise; `differences` says why so."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from longtail.comparison.evidence.layout import Layout
from longtail.comparison.evidence.seed_variance import own_interval
from longtail.metrics.rates import Floats


class Intervals(NamedTuple):
    """Intervals mean -+ half, per pair in the order of the table."""

    mean: Floats
    half: Floats
    se: Floats
    p: Floats
    critical: float | None


def simultaneous(
    table: Layout,
    values: Floats,
    test: Floats,
    seed: Floats,
    se: Floats,
    level: float,
    outside: tuple[str, ...],
    span: float,
) -> Intervals:
    """Return the intervals of all pairs at once; those of pairs with a method outside the pool are their own.

    Args:
        table: of the comparison. values: (R,) its metric.
        test, seed: (draws, K) noise of the choice of examples and of seeds. se: (K,) its standard deviation.
        level: of all intervals together. outside: the methods outside the pool. span: the largest difference.
    """
    moving = se > 1e-12  # the two of any other pair predict every example alike
    mean, se = np.where(moving, table.pairing @ values, 0.0), np.where(moving, se, 0.0)
    apart = moving & np.array([not {*pair}.isdisjoint(outside) for pair in table.pairs])
    joint, count = moving & ~apart, int(moving.sum())
    critical, share, largest = None, 1.0, np.full(len(test), np.inf)
    if joint.any():
        share = float(joint.sum() / count)
        largest = (np.abs((test + seed)[:, joint]) / se[joint]).max(axis=1)
        critical = _quantile(largest, level if share == 1.0 else 1 - (1 - level) * share)
    size = np.abs(np.divide(mean, se, out=np.zeros_like(mean), where=moving))
    p = np.array([(1 + np.sum(largest >= one)) / (1 + len(test)) for one in size])
    intervals = Intervals(mean, (critical or 0.0) * se, se, np.minimum(p / share, 1.0), critical)
    for k in np.flatnonzero(apart):
        paired = table.paired_values(values, table.pairs[k])
        own = own_interval(mean[k], test[:, k], paired, (1 - level) / count, span)
        intervals.se[k], intervals.half[k], intervals.p[k] = own.se, own.half, min(1.0, own.p * count)
    return intervals


def _quantile(drawn: Floats, level: float) -> float:
    rank = min(int(np.ceil(level * (len(drawn) + 1))), len(drawn))
    return float(np.partition(drawn, rank - 1)[rank - 1])
