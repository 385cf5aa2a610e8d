"""RCAL's statistics as its description has them: one class, one row at a time, float64, and nothing but `math`."""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = Sequence[float]
Rows = Sequence[Row]


def mean(rows: Rows, weights: Row) -> list[float]:
    total = math.fsum(weights)
    return [math.fsum(w * h[d] for h, w in zip(rows, weights, strict=True)) / total for d in range(len(rows[0]))]


def scatter(rows: Rows, weights: Row, centre: Row) -> list[list[float]]:
    apart = [[x - m for x, m in zip(h, centre, strict=True)] for h in rows]
    dims = range(len(centre))
    return [[math.fsum(w * a[i] * a[j] for a, w in zip(apart, weights, strict=True)) for j in dims] for i in dims]


def shrunk(matrix: Rows, s: float) -> list[list[float]]:
    dims = range(len(matrix))
    sphere = math.fsum(matrix[d][d] for d in dims) / len(matrix)
    return [[(1 - s) * matrix[i][j] + (s * sphere if i == j else 0.0) for j in dims] for i in dims]


def of_class(rows: Rows, weights: Row, s: float) -> tuple[list[float], list[list[float]]]:
    """Mean and covariance of one class."""
    centre = mean(rows, weights)
    divisor = max(math.fsum(weights) - 1, 1.0)
    return centre, shrunk([[v / divisor for v in line] for line in scatter(rows, weights, centre)], s)


def pooled(groups: Sequence[tuple[Rows, Row]], s: float) -> list[list[float]]:
    scatters = [scatter(rows, weights, mean(rows, weights)) for rows, weights in groups]
    divisor = max(math.fsum(w for _, weights in groups for w in weights) - len(groups), 1.0)
    dims = range(len(scatters[0]))
    return shrunk([[math.fsum(m[i][j] for m in scatters) / divisor for j in dims] for i in dims], s)


def distance(a: Row, b: Row) -> float:
    return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def shares(means: Rows, t: int, heads: Sequence[int], q: int, tau: float) -> dict[int, float]:
    """Class -> the share in which class t borrows from it."""
    near = sorted((distance(means[t], means[k]), k) for k in heads)[:q]
    unit = math.fsum(d for d, _ in near) / len(near)
    powers = {k: math.exp(-d / (tau * unit)) for d, k in near}
    return {k: p / math.fsum(powers.values()) for k, p in powers.items()}


def blended(own: Sequence[Row], t: int, from_: dict[int, float], gamma: float) -> list[float]:
    """A statistic of class t, flattened, with what it borrows."""
    return [gamma * x + (1 - gamma) * math.fsum(v * own[k][i] for k, v in from_.items()) for i, x in enumerate(own[t])]


def missing(counts: Sequence[int]) -> tuple[list[float], float]:
    largest = max(counts)
    total = sum(largest - n for n in counts)
    return [(largest - n) / total if total else 0.0 for n in counts], total / sum(counts)


def spread(rows: Rows) -> float:
    centre = mean(rows, [1.0] * len(rows))
    return math.sqrt(math.fsum(distance(h, centre) ** 2 for h in rows) / len(rows))


def cross_entropy(z: Row, y: int) -> float:
    top = max(z)
    return top + math.log(math.fsum(math.exp(v - top) for v in z)) - z[y]
