"""One offset per class on the log-probabilities, chosen for an objective of all classes by coordinate ascent.

It begins at the best of a family of one parameter, b_j = -tau log q_j with q the mean probability of class j on the
rows, and moves one offset at a time to the best of all places that the rows tell apart. Every offset is then drawn back
toward the family by n_j / (n_j + 10); that of a class without rows is the family's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail.posthoc.decisions.objectives import Objective
from longtail.posthoc.decisions.rows import Floats, Ints, WeightedRows
from longtail.posthoc.decisions.tallies import TERMS, combine, counts, value

TAUS = tuple(round(0.1 * k, 1) for k in range(31))
SHRINKAGE = 10.0
"""Rows of a class at which its offset is halfway between the family and the best place."""
REACH = 3.0
"""An offset moves at most this far at a time: a factor 20 of the probability."""
SWEEPS = 3
GAIN = 1e-10


def family(rows: WeightedRows, goal: Objective, cost: Floats | None) -> tuple[Floats, float]:
    """Return the offsets (C,) of the best tau, and tau; of equally good ones the smallest."""
    mean = np.maximum((np.exp(rows.log_probs) * rows.weight[:, None]).sum(0) / rows.weight.sum(), 1e-12)
    log_share, best, chosen = np.log(mean), -np.inf, 0.0
    for tau in TAUS:
        decided = (rows.log_probs - tau * log_share).argmax(1)
        found = value(goal, rows.targets, decided, rows.weight, rows.classes, cost=cost, search=True)
        if found > best + GAIN:
            best, chosen = found, tau
    return -chosen * log_share, chosen


def fit_offsets(rows: WeightedRows, goal: Objective, cost: Floats | None, start: Floats) -> Floats:
    """Return the offsets (C,) from the family's by coordinate ascent, drawn back toward it where rows are few."""
    support = rows.support()
    found = ascend(rows, goal, cost, start, support > 0)
    return np.asarray(start + support / (support + SHRINKAGE) * (found - start))


def ascend(
    rows: WeightedRows, goal: Objective, cost: Floats | None, start: Floats, free: np.ndarray, sweeps: int = SWEEPS
) -> Floats:
    """Return offsets (C,) that no move of a single one improves, or those after some sweeps over the classes."""
    offsets, state = start.copy(), TopTwo.of(rows.log_probs + start)
    for _ in range(sweeps):
        moved = False
        for k in np.flatnonzero(free):
            place = _best_place(rows, goal, cost, state, int(k), float(offsets[k]), float(start[k]))
            if place is not None:
                moved, offsets[k] = True, place
                state.change(int(k), rows.log_probs[:, k] + place)
        if not moved:
            break
    return offsets


@dataclass
class TopTwo:
    """Scores (N, C) with the largest and second largest of every row, kept up to date as columns change."""

    scores: Floats
    first: Ints
    second: Ints

    @classmethod
    def of(cls, scores: Floats) -> TopTwo:
        """Find both of every row."""
        first, second = _two(scores)
        return cls(scores, first, second)

    def others(self, k: int) -> tuple[Ints, Floats]:
        """Return the best class but k of every row, and its score."""
        best = np.where(self.first == k, self.second, self.first)
        return best, self.scores[np.arange(len(best)), best]

    def change(self, k: int, column: Floats) -> None:
        """Put another column in the place of column k."""
        self.scores[:, k] = column
        row = np.arange(len(column))
        touched = (self.first == k) | (self.second == k) | (column >= self.scores[row, self.second])
        self.first[touched], self.second[touched] = _two(self.scores[touched])


def _two(scores: Floats) -> tuple[Ints, Ints]:
    row, rest = np.arange(len(scores)), scores.copy()
    first = rest.argmax(1)
    rest[row, first] = -np.inf
    return first, rest.argmax(1)


def _best_place(
    rows: WeightedRows, goal: Objective, cost: Floats | None, state: TopTwo, k: int, now: float, neutral: float
) -> float | None:
    """Return a better offset of class k, or None.

    Class k takes a row from its best other class m where b_k >= d = max_(j != k) (log p_j + b_j) - log p_k. Rows within
    reach are sorted by d; whatever b_k, those before it are k's.
    """
    m, score = state.others(k)
    d = score - rows.log_probs[:, k]
    near = np.flatnonzero(np.abs(d - now) <= REACH)
    if not len(near):
        return None
    order = near[np.argsort(d[near], kind="stable")]
    decided = np.where(d <= now, k, m)
    decided[order] = m[order]  # as with the lowest offset within reach
    values = path_values(rows, goal, cost, decided, order, m[order], k)
    edges = np.concatenate([[now - REACH], d[order], [now + REACH]])
    distinct = np.append(edges[1:-1] < edges[2:], True)  # equal rows are taken together
    distinct = np.concatenate([edges[:1] < edges[1:2], distinct[: len(order)]])
    current = values[np.searchsorted(d[order], now, side="right")]
    best = values[distinct].max()
    if best <= current + GAIN:
        return None
    good = np.flatnonzero(distinct & (values >= best - GAIN))
    low, high = edges[good], edges[good + 1]
    inside = (low <= neutral) & (neutral < high)
    places = np.where(inside, neutral, (low + high) / 2)
    return float(places[np.argmin(np.abs(places - neutral))])


def path_values(
    rows: WeightedRows, goal: Objective, cost: Floats | None, decided: Ints, order: Ints, losing: Ints, k: int
) -> Floats:
    """Return the objective before any of the rows `order` goes from its class `losing` to k, and after each (n + 1,).

    Args:
        rows: all rows.
        goal, cost: the objective, of all classes.
        decided: (N,) before.
        order: (n,) the rows that change, in their order.
        losing: (n,) what they are decided as before.
        k: what they are decided as after.
    """
    y, w = rows.targets[order], rows.weight[order]
    if goal.name == "cost":
        assert cost is not None
        before = (cost[rows.targets, decided] * rows.weight).sum()
        change = np.cumsum(w * (cost[y, k] - cost[y, losing]))
        return np.asarray(-(before + np.concatenate([[0.0], change])) / rows.weight.sum())
    hits, support, predicted = counts(rows.targets, decided, rows.weight, rows.classes)
    terms = TERMS[goal.name]
    base = terms(hits, support, predicted)
    # class k gains one row after another
    won = terms(hits[k] + np.cumsum(w * (y == k)), np.full(len(w), support[k]), predicted[k] + np.cumsum(w))
    # every other class loses its own, in the same order
    grouped = np.argsort(losing.astype(np.int32), kind="stable")
    c, gone = losing[grouped], w[grouped]
    missed = gone * (y[grouped] == c)
    h, p = hits[c] - _within(missed, c), predicted[c] - _within(gone, c)
    step = terms(h, support[c], p) - terms(h + missed, support[c], p + gone)
    lost = np.empty_like(step)
    lost[:, grouped] = step
    after = base.sum(1)[:, None] - base[:, [k]] + won + np.cumsum(lost, axis=1)
    return combine(goal.name, np.concatenate([base.sum(1)[:, None], after], axis=1), search=True)


def _within(values: Floats, group: Ints) -> Floats:
    """Cumulative sums within runs of equal groups."""
    total = np.cumsum(values)
    first = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    before = np.concatenate([[0.0], total])[first]
    return np.asarray(total - np.repeat(before, np.diff(np.append(first, len(group)))))
