"""Adaptive regularisation in plain loops and float64: parameters are one flat list."""

import math
from collections.abc import Sequence

Vector = list[float]
Rows = Sequence[Sequence[float]]
D, H, C = 3, 4, 3
SHAPES = ((H, D), (H,), (H, H), (H,), (C, H), (C,))
"""Weights and biases of two hidden layers and the classifier, in the order of the flat list."""


def strengths(accuracies: Vector, counts: Vector, error_power: float, size_power: float) -> Vector:
    raw = [math.pow(1 - a, error_power) / math.pow(n, size_power) for a, n in zip(accuracies, counts, strict=True)]
    largest = max(raw)
    return [r / largest if largest > 0 else 0.0 for r in raw]


def layer(w: Vector, start: int, x: Sequence[float], out: int) -> Vector:
    bias = start + out * len(x)
    return [sum(w[start + j * len(x) + d] * x[d] for d in range(len(x))) + w[bias + j] for j in range(out)]


def objective(w: Vector, xs: Rows, ys: Sequence[int], s: Vector, reg_weight: float, per_row: bool = False) -> float:
    """L + reg_weight mean_i s_(y_i) (||dL/da1[i]|| + ||dL/da2[i]||), a the values before tanh, L the batch mean."""
    n = len(xs)
    second = H * D + H
    third = second + H * H + H
    loss = penalty = 0.0
    for x, y in zip(xs, ys, strict=True):
        a1 = layer(w, 0, x, H)
        h1 = [math.tanh(a) for a in a1]
        a2 = layer(w, second, h1, H)
        h2 = [math.tanh(a) for a in a2]
        z = layer(w, third, h2, C)
        total = math.log(sum(math.exp(v) for v in z))
        loss += (total - z[y]) / n
        dz = [(math.exp(z[k] - total) - (k == y)) / n for k in range(C)]
        g2 = [sum(dz[k] * w[third + k * H + j] for k in range(C)) * (1 - h2[j] ** 2) for j in range(H)]
        g1 = [sum(g2[i] * w[second + i * H + j] for i in range(H)) * (1 - h1[j] ** 2) for j in range(H)]
        norms = math.sqrt(sum(g * g for g in g1)) + math.sqrt(sum(g * g for g in g2))
        penalty += s[y] * norms / n
    return loss + reg_weight * penalty * (n if per_row else 1)


def step(w: Vector, lr: float, *args: object, eps: float = 1e-5) -> Vector:
    """w after a plain step down `objective`, its gradient by central differences of fourth order."""
    after = []
    for j in range(len(w)):

        def at(shift: float, j: int = j) -> float:
            return objective([*w[:j], w[j] + shift, *w[j + 1 :]], *args)  # type: ignore[arg-type]

        slope = (8 * (at(eps) - at(-eps)) - (at(2 * eps) - at(-2 * eps))) / (12 * eps)
        after.append(w[j] - lr * slope)
    return after


def normed(x: Rows, eps: float) -> list[Vector]:
    """Each column minus its mean, divided by its deviation."""
    columns = []
    for column in zip(*x, strict=True):
        mean = sum(column) / len(column)
        sd = math.sqrt(sum((v - mean) ** 2 for v in column) / len(column) + eps)
        columns.append([(v - mean) / sd for v in column])
    return [list(row) for row in zip(*columns, strict=True)]
