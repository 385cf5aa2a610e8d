"""Methods whose seed variance contradicts that of the others: find them, and give them intervals of their own.

A method that diverges in some seeds would widen every interval of the table by its spread. Outside the pooled
sigma^2 it gets an interval of its own, from its paired per-seed differences and from the test part alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from longtail.comparison.evidence.layout import Layout
from longtail.metrics.rates import Floats

__all__ = ["OwnInterval", "outside_the_pool", "own_interval", "spread_notes"]

# Levels of the F test, Bonferroni over the methods. To miss an unstable method costs more than to leave out
# a stable one (decision 0003): its own interval is too narrow and all others are too wide.
_OUTSIDE = 0.05
_NOTED = 0.01
_NONE = 1e-24  # a variance that is rounding


class _Spread(NamedTuple):
    """Variance of a method's per-seed differences over that expected from the others: F and its adjusted p."""

    ratio: float
    p: float
    variance: float
    copies: float  # of sigma^2 in such a difference


def outside_the_pool(table: Layout, values: Floats) -> tuple[str, ...]:
    """Return the methods that vary too much over seeds to share the others' sigma^2, sorted; never the reference.

    They are removed one at a time, the largest F first, each tested against those that remain. Two that diverge
    mask one another, so half of the methods are removed, and the last significant one decides how many are outside
    (as Rosner 1983 does for outliers). An unstable reference makes every difference vary: where its F is the
    largest, nothing can be said about the methods, and the search stops.
    """
    removed: list[str] = []
    significant = 0
    moving = {cell[0] for cell, varies in zip(table.cells, table.varies, strict=True) if varies}
    while len(removed) < len(table.methods) // 2:
        spreads: dict[str, _Spread] = {}
        for method in (table.reference, *table.methods):  # a tie goes to the first of them
            spread = _spread(table, values, method, removed) if method in moving and method not in removed else None
            if spread is not None:
                spreads[method] = spread
        largest = max(spreads, key=lambda method: spreads[method].ratio, default=table.reference)
        if largest == table.reference:
            break
        removed.append(largest)
        if spreads[largest].p <= _OUTSIDE:
            significant = len(removed)
    return tuple(sorted(removed[:significant]))


def _spread(table: Layout, values: Floats, method: str, removed: Collection[str]) -> _Spread | None:
    """How a method's own spread compares with that of the methods not ``removed``; None where it cannot be compared."""
    from scipy.special import fdtrc

    if method != table.reference:
        copies, own = (
            2.0,
            table.paired_values(values, (method, table.reference)),
        )  # e of the method and of the reference
    else:  # the reference against the mean of the others
        rest = [m for m in table.methods if m not in removed]
        copies, common = 1.0 + 1.0 / len(rest), set.intersection(*(set(table.paired_seeds[m, method]) for m in rest))
        row = dict(zip(table.cells, values, strict=True))
        own = np.array([row[method, s] - np.mean([row[m, s] for m in rest]) for s in sorted(common)])
    others, df = _variance(table, values, (*removed, method)) if len(own) > 1 else (0.0, 0)
    if others <= _NONE:
        return None
    ratio = float(own.var(ddof=1)) / (copies * others)
    p = float(fdtrc(len(own) - 1, df, ratio)) * len(table.methods)
    return _Spread(ratio, p, float(own.var(ddof=1)), copies)


def _variance(table: Layout, values: Floats, without: Collection[str]) -> tuple[float, int]:
    """``table.seed_variance``, by means instead of least squares where every method has every seed."""
    pool = [row for row in table.pool if table.cells[row][0] not in without]
    methods = {table.cells[row][0] for row in pool}
    seeds = {table.cells[row][1] for row in pool}
    if len(pool) != len(methods) * len(seeds) or len(methods) < 2 or len(seeds) < 2 or not table.varies.all():
        return table.seed_variance(values, without)
    each = values[pool].reshape(len(methods), len(seeds))  # rows are sorted by method, then by seed
    residual = each - each.mean(axis=1, keepdims=True) - each.mean(axis=0) + each.mean()
    df = (len(methods) - 1) * (len(seeds) - 1)
    return float((residual**2).sum()) / df, df


class OwnInterval(NamedTuple):
    """Standard error, half width of the interval and unadjusted p of one method by itself."""

    se: float
    half: float
    p: float


def own_interval(mean: float, test: Floats, differences: Floats, error: float, span: float = 1.0) -> OwnInterval:
    """An interval that misses with probability ``error``, from one pair's own seeds; one seed shows no spread.

    Its noise is the test part, draws of which are ``test``, plus a Student t on S - 1 degrees of freedom, scaled
    by the spread of the S paired ``differences``. The sum is the mixture of Behrens and Fisher, which errs on the
    wide side whichever part is the larger. The t is not drawn but averaged over the draws of the other part:
    its far tail decides, which 4000 draws would not cover. ``span``: the largest difference of the metric.
    """
    from scipy.optimize import brentq
    from scipy.special import stdtr, stdtrit

    if len(differences) < 2:
        return OwnInterval(float(test.std(ddof=1)), 2 * span, 1.0)
    df, scale = len(differences) - 1, max(float(differences.std(ddof=1)) / np.sqrt(len(differences)), _NONE)

    def tail(size: float) -> float:
        return float(np.mean(stdtr(df, (test - size) / scale) + stdtr(df, (-test - size) / scale)))

    enough = float(np.abs(test).max() - scale * stdtrit(df, error / 2))  # enough for any draw of the test part
    half = float(brentq(lambda size: tail(size) - error, 0.0, 2 * enough))
    return OwnInterval(float(np.sqrt(test.var(ddof=1) + scale**2)), half, tail(abs(mean)))


def spread_notes(
    table: Layout, values: Floats, variance: float, outside: Collection[str], fraction: bool = True
) -> tuple[str, ...]:
    """Return a sentence on every method whose own spread contradicts the others'.

    ``variance``: the pooled sigma^2. ``fraction``: whether the metric is one, which is said in points.
    """
    notes = []
    for method in (*table.methods, table.reference):
        spread = _spread(table, values, method, [m for m in outside if m != method])
        if spread is None:
            continue
        own, theirs = np.sqrt(spread.variance), np.sqrt(spread.copies * variance)
        said, other = (f"{100 * x:.1f}" if fraction else f"{x:.2g}" for x in (own, theirs))
        unit = " points" if fraction else ""
        if method in outside:
            notes.append(
                f"{method} varies much more over seeds than the other methods (standard deviation of its difference "
                f"{said}{unit}, theirs {other}): its interval is its own, the others' do not include its "
                "spread"
            )
        elif spread.p <= _NOTED and own > (1 + 1e-9) * theirs:  # equal where nobody else is in the pool
            whose = "all intervals are" if method == table.reference else "its interval is"
            notes.append(
                f"{method} varies more over seeds than the other methods (standard deviation of its difference "
                f"{said}{unit}, pooled {other}): {whose} too narrow"
            )
    return tuple(notes)
