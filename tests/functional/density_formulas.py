"""Densities of features and the weights of rows, written from the paper: one loop per sum."""

from __future__ import annotations

import math
from statistics import median_low

Rows = list[list[float]]


def unit(rows: Rows) -> Rows:
    lengths = [math.sqrt(sum(x * x for x in row)) for row in rows]
    return [[x / length for x in row] if length else row for row, length in zip(rows, lengths, strict=True)]


def distance(a: list[float], b: list[float]) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def densities(rows: Rows, h: float, *, leave_one_out: bool, centres: list[int] | None = None) -> list[float]:
    f = unit(rows)
    found = []
    for i in range(len(f)):
        others = [j for j in (range(len(f)) if centres is None else centres) if not (leave_one_out and j == i)]
        found.append(sum(math.exp(-(distance(f[i], f[j]) ** 2) / (2 * h * h)) for j in others) / len(others))
    return found


def weights(rows: Rows, h: float, alpha: float, *, leave_one_out: bool) -> list[float]:
    powers = [density**-alpha for density in densities(rows, h, leave_one_out=leave_one_out)]
    return [power * len(powers) / sum(powers) for power in powers]


def median_distance(rows: Rows) -> float:
    f = unit(rows)
    return median_low([distance(f[i], f[j]) for i in range(len(f)) for j in range(i + 1, len(f))])
