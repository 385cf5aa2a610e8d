"""A threshold on the probability of one class, the best of all that validation rows tell apart.

A row is called positive where its log-odds, log p - log(1 - p), are at least the cut. Candidates are one cut between
any two neighbouring distinct log-odds, at their midpoint; +inf, which calls none; and -inf, which calls all. Of equally
good ones the highest is chosen, with the fewest alarms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail.posthoc.decisions.objectives import Objective
from longtail.posthoc.decisions.rows import Floats, Ints, WeightedRows, log_odds
from longtail.posthoc.decisions.tallies import one_class, value_of_all

RESAMPLES = 200
MOST_NUMBERS = 2_000_000
"""Resamples x rows that are held at once."""
SLACK = 1e-12


@dataclass(frozen=True)
class Cuts:
    """All cuts of some rows, from the highest to the lowest.

    Args:
        cuts: (D + 1,) log-odds.
        place: (N,) which of the D distinct log-odds each row has, the highest first.
        is_positive: (N,).
    """

    cuts: Floats
    place: Ints
    is_positive: Floats

    @classmethod
    def of(cls, rows: WeightedRows, positive: int) -> Cuts:
        """Sort the rows by the log-odds of a class."""
        distinct, inverse = np.unique(-log_odds(rows.log_probs, positive), return_inverse=True)
        z = -distinct
        middle = (z[:-1] + z[1:]) / 2
        middle = np.where(middle > z[1:], middle, z[:-1])  # neighbours without a number between them
        cuts = np.concatenate([[np.inf], middle, [-np.inf]])
        return cls(cuts, inverse.reshape(-1).astype(np.int64), (rows.targets == positive) * 1.0)

    def tallies(self, weight: Floats) -> tuple[Floats, Floats]:
        """Return hits and calls (B, D + 1) at every cut, from weights (B, N)."""
        size = len(self.cuts) - 1
        sums = np.zeros((2, len(weight), size + 1))
        for b, row in enumerate(weight):
            sums[0, b, 1:] = np.bincount(self.place, row * self.is_positive, size)
            sums[1, b, 1:] = np.bincount(self.place, row, size)
        hits, calls = np.cumsum(sums, axis=2)
        return hits, calls


def cut_values(goal: Objective, hits: Floats, calls: Floats, cost: Floats | None, positive: int) -> Floats:
    """Return what is maximised at every cut (B, D + 1); of an objective of all classes there are two of them."""
    support, rows = hits[:, -1:], calls[:, -1:]
    if not goal.of_all:
        return one_class(goal, hits, support, calls, rows)
    if goal.name == "cost":
        assert cost is not None
        p, o = positive, 1 - positive
        missed, false = support - hits, calls - hits
        right = rows - calls - missed
        total = hits * cost[p, p] + missed * cost[p, o] + false * cost[o, p] + right * cost[o, o]
        return np.asarray(-total / rows)
    other = rows - calls - (support - hits)
    both = (np.stack(pair, -1) for pair in ((hits, other), (support, rows - support), (calls, rows - calls)))
    return value_of_all(goal.name, *both)


def best_cut(goal: Objective, values: Floats) -> Ints:
    """Return the index (B,) of the chosen cut of each row of values (B, D + 1).

    recall: the highest threshold that reaches it; alarms: the lowest within them; anything else: the best value, of
    equally good ones the highest threshold. Where no cut meets a condition, the one that comes nearest.
    """
    best = values.max(1, keepdims=True)
    chosen = np.argmax(values >= best - SLACK, axis=1)
    met = values >= 1
    if goal.name == "recall":
        chosen = np.where(met.any(1), np.argmax(met, axis=1), chosen)
    if goal.name == "alarms":
        chosen = values.shape[1] - 1 - np.argmax(met[:, ::-1], axis=1)
    return np.asarray(chosen, dtype=np.int64)


def fit_cut(rows: WeightedRows, goal: Objective, positive: int, cost: Floats | None = None) -> tuple[float, float]:
    """Return the chosen cut and what was maximised there (below 1: a condition that is not met)."""
    cuts = Cuts.of(rows, positive)
    values = cut_values(goal, *cuts.tallies(rows.weight[None]), cost, positive)
    at = int(best_cut(goal, values)[0])
    return float(cuts.cuts[at]), float(values[0, at])


def cut_interval(
    rows: WeightedRows, goal: Objective, positive: int, cost: Floats | None, level: float, chance: np.random.Generator
) -> tuple[float, float]:
    """Return the interval of the cut: percentiles over resamples of the rows, a weight k drawn as k copies.

    Every row counts Poisson(weight) times in a resample (Oza and Russell 2001); those without rows of the class, or
    without others, are left out.
    """
    cuts, found, left = Cuts.of(rows, positive), [], RESAMPLES
    while left:
        size = min(left, max(1, MOST_NUMBERS // len(rows.weight)))
        left -= size
        weight = chance.poisson(rows.weight, (size, len(rows.weight))).astype(np.float64)
        hits, calls = cuts.tallies(weight)
        valid = (hits[:, -1] > 0) & (calls[:, -1] > hits[:, -1])
        if valid.any():
            values = cut_values(goal, hits[valid], calls[valid], cost, positive)
            found.append(cuts.cuts[best_cut(goal, values)])
    if not found:
        return -np.inf, np.inf
    share = (1 - level) / 2
    # the ends are cuts that were chosen: between -inf and a number there is no percentile
    low, high = np.quantile(np.concatenate(found), [share, 1 - share], method="inverted_cdf")
    return float(low), float(high)
