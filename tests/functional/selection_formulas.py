"""Votes of neighbours, confident rows and pairs, and the losses of pairs, in plain loops and float64."""

import math
from collections.abc import Sequence

Rows = Sequence[Sequence[float]]
Mask = Sequence[Sequence[bool]]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths


def neighbours(features: Rows, k: int) -> list[list[int]]:
    n = len(features)
    found = []
    for i in range(n):
        others = sorted((j for j in range(n) if j != i), key=lambda j: -cosine(features[i], features[j]))
        found.append(others[:k])
    return found


def voted(labels: Sequence[int], nearest: Sequence[Sequence[int]], classes: int) -> list[list[float]]:
    return [[sum(labels[j] == c for j in near) / len(near) for c in range(classes)] for near in nearest]


def first_largest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda c: (values[c], -c))


def confident(features: Rows, labels: Sequence[int], classes: int, k: int, alpha: float) -> list[bool]:
    nearest = neighbours(features, k)
    pseudo = [first_largest(row) for row in voted(labels, nearest, classes)]
    shares = voted(pseudo, nearest, classes)
    agreeing = sorted(
        sum(first_largest(shares[i]) == y == c for i, y in enumerate(labels)) for c in range(classes) if c in labels
    )
    most = max(1, agreeing[math.floor(alpha * (len(agreeing) - 1) + 1e-9)])
    chosen = [False] * len(labels)
    for c in range(classes):
        mine = [i for i, y in enumerate(labels) if y == c]
        for i in sorted(mine, key=lambda i: (-min(max(shares[i][c], 0.01), 0.99), i))[:most]:
            chosen[i] = True
    return chosen


def threshold(features: Rows, labels: Sequence[int], chosen: Sequence[bool], beta: float) -> float:
    """Over all ordered pairs of different rows, as there are where no class has more than 501 chosen rows."""
    n = range(len(labels))
    pairs = [(i, j) for i in n for j in n if i != j and labels[i] == labels[j] and chosen[i] and chosen[j]]
    values = sorted(cosine(features[i], features[j]) for i, j in pairs)
    if not values:
        return 1.0
    place = beta * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def contrast(
    anchors: Rows, candidates: Rows, own: Mask, partners: Mask, share: float, allowed: Mask, t: float
) -> list[float]:
    losses = []
    for a, z in enumerate(anchors):
        there = [b for b in range(len(candidates)) if allowed[a][b]]
        similar = {b: cosine(z, candidates[b]) / t for b in there}
        total = math.log(sum(math.exp(s) for s in similar.values())) if there else 0.0
        parts = []
        for mask in (own, partners):
            positive = [b for b in there if mask[a][b]]
            parts.append(-sum(similar[b] - total for b in positive) / len(positive) if positive else 0.0)
        losses.append(share * parts[0] + (1 - share) * parts[1])
    return losses


def similarity(anchors: Rows, candidates: Rows, own: Mask, partners: Mask, share: float, allowed: Mask) -> list[float]:
    losses = []
    for a, p in enumerate(anchors):
        total = 0.0
        for b in (b for b in range(len(candidates)) if allowed[a][b]):
            s = min(sum(x * y for x, y in zip(p, candidates[b], strict=True)), 1.0)
            for part, mask in ((share, own), (1 - share, partners)):
                total += part * -math.log((s if mask[a][b] else 1 - s) + 1e-7)
        losses.append(total / len(candidates))
    return losses
