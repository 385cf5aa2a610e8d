"""Geometric harmonization in plain loops, written from the paper and the released recipe; imports only math."""

from __future__ import annotations

import math

Rows = list[list[float]]


def logits(projections: Rows, frame: Rows) -> Rows:
    """q_b = (M z_b) / ||M z_b||."""
    found = []
    for z in projections:
        products = [math.fsum(a * b for a, b in zip(z, m, strict=True)) for m in frame]
        length = math.sqrt(math.fsum(p * p for p in products))
        found.append([p / length for p in products])
    return found


def labels(q: Rows, prior: list[float], eps: float, iterations: int) -> Rows:
    """As released, not on logarithms: c = 1/N; r = pi / (K c), c = (1/N) / (K' r); N r K c."""
    n, total = len(q), math.fsum(prior)
    pi = [p / total for p in prior]
    kernel = [[math.exp(v / eps) for v in row] for row in q]
    c = [1 / n] * n
    r = [0.0] * len(pi)
    for _ in range(iterations):
        r = [pi[k] / math.fsum(kernel[b][k] * c[b] for b in range(n)) for k in range(len(pi))]
        c = [(1 / n) / math.fsum(kernel[b][k] * r[k] for k in range(len(pi))) for b in range(n)]
    return [[n * r[k] * kernel[b][k] * c[b] for k in range(len(pi))] for b in range(n)]


def one_direction(taught: Rows, q: Rows, t: float) -> list[float]:
    """-sum_k q^_k log softmax(q / t)_k."""
    found = []
    for label, row in zip(taught, q, strict=True):
        top = max(row) / t
        norm = top + math.log(math.fsum(math.exp(v / t - top) for v in row))
        found.append(-math.fsum(p * (v / t - norm) for p, v in zip(label, row, strict=True)))
    return found
