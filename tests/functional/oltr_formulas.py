"""OLTR as its code writes it: one row at a time, float64, loops, and nothing but `math`."""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = Sequence[float]
Rows = Sequence[Row]


def dot(a: Row, b: Row) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def length(a: Row) -> float:
    return math.sqrt(dot(a, a))


def squared_distance(a: Row, b: Row) -> float:
    return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def softmax(z: Row) -> list[float]:
    powers = [math.exp(v - max(z)) for v in z]
    return [p / math.fsum(powers) for p in powers]


def affine(h: Row, weight: Rows, bias: Row) -> list[float]:
    return [dot(w, h) + b for w, b in zip(weight, bias, strict=True)]


def enriched(h: Row, centroids: Rows, hallucinator: tuple[Rows, Row], selector: tuple[Rows, Row]) -> list[float]:
    """The feature with what the memory adds, before reachability."""
    shares = softmax(affine(h, *hallucinator))
    memory = [math.fsum(s * c[d] for s, c in zip(shares, centroids, strict=True)) for d in range(len(h))]
    gates = [math.tanh(v) for v in affine(h, *selector)]
    return [x + g * m for x, g, m in zip(h, gates, memory, strict=True)]


def logits(
    h: Row,
    centroids: Rows,
    hallucinator: tuple[Rows, Row],
    selector: tuple[Rows, Row],
    weight: Rows,
    scale: float = 16.0,
    reach: float = 10.0,
) -> list[float]:
    reachability = reach / min(math.sqrt(squared_distance(h, c)) for c in centroids)
    x = [reachability * v for v in enriched(h, centroids, hallucinator, selector)]
    n = length(x)
    return [scale * (n / (1 + n)) * dot([v / n for v in x], [v / length(w) for v in w]) for w in weight]


def attraction(h: Row, centroid: Row) -> float:
    return squared_distance(h, centroid) / 2


def apart(h: Row, y: int, centroids: Rows) -> float:
    """The mean squared distance to all centroids, the own one counted as 0."""
    return math.fsum(squared_distance(h, c) for j, c in enumerate(centroids) if j != y) / len(centroids)


def centroid_loss(
    features: Rows,
    targets: Sequence[int],
    centroids: Rows,
    attract: float = 0.01,
    repel: float = 1e-4,
    margin: float = 10,
) -> float:
    n = len(features)
    near = math.fsum(attraction(h, centroids[y]) for h, y in zip(features, targets, strict=True)) / n
    far = math.fsum(apart(h, y, centroids) for h, y in zip(features, targets, strict=True)) / n
    return attract * near + repel * max(margin - far, 0)


def centroid_gradient(
    features: Rows, targets: Sequence[int], centroids: Rows, repel: float = 1e-4, margin: float = 10
) -> list[list[float]]:
    """What its backward gives the centroids: no factor on the attraction, each class divided by 1 + its rows."""
    n, size = len(features), len(centroids)
    rows = list(zip(features, targets, strict=True))
    close = math.fsum(apart(h, y, centroids) for h, y in rows) / n < margin
    gradient = []
    for j, c in enumerate(centroids):
        own = [h for h, y in rows if y == j]
        others = [h for h, y in rows if y != j]
        pull = [math.fsum(c[d] - h[d] for h in own) / (1 + len(own)) / n for d in range(len(c))]
        push = [
            -repel * 2 * math.fsum(c[d] - h[d] for h in others) / (n * size) if close else 0.0 for d in range(len(c))
        ]
        gradient.append([a + b for a, b in zip(pull, push, strict=True)])
    return gradient
