"""The loss of DnC's distillation, written from the paper: one loop per sum."""

from __future__ import annotations

import math

Rows = list[list[float]]


def unit(row: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def half_squared(prediction: list[float], target: list[float]) -> float:
    return 0.5 * sum((p - t) ** 2 for p, t in zip(prediction, unit(target), strict=True))


def losses(of_base: Rows, of_experts: list[Rows], base: Rows, experts: list[Rows], clusters: list[int]) -> list[float]:
    """Of each row: predictions of the base and of every expert's projection; the projections; the row's cluster."""
    return [
        half_squared(of_base[i], base[i]) + half_squared(of_experts[k][i], experts[k][i])
        for i, k in enumerate(clusters)
    ]
