"""Losses of the hosts in float64, row by row, written from the papers; nothing of longtail is used."""

from __future__ import annotations

import math

Row = list[float]


def linear(weight: list[Row], bias: Row, rows: list[Row]) -> list[Row]:
    """W x + b of every row."""
    return [[math.fsum(w * v for w, v in zip(line, x, strict=True)) + b for line, b in zip(weight, bias, strict=True)]
            for x in rows]  # fmt: skip


def cosine(a: Row, b: Row) -> float:
    """<a, b> / (|a| |b|)."""
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


def log_share(found: float, others: list[float], t: float) -> float:
    """log of e^(found / t) / (e^(found / t) + sum e^(other / t))."""
    return found / t - math.log(math.fsum(math.exp(s / t) for s in (found, *others)))


def focal(first: list[Row], second: list[Row], t: float, gamma: float) -> Row:
    """-(1 - p)^gamma log p of both anchors of a row, averaged."""
    z, size = first + second, len(first)
    total = [0.0] * size
    for i in range(2 * size):
        partner = (i + size) % (2 * size)
        others = [cosine(z[i], z[k]) for k in range(2 * size) if k not in (i, partner)]
        log_p = log_share(cosine(z[i], z[partner]), others, t)
        total[i % size] -= (1 - math.exp(log_p)) ** gamma * log_p / 2
    return total


def supcon(first: list[Row], second: list[Row], classes: list[int], t: float) -> Row:
    """Khosla et al. 2020, eq. 2: the mean of the log-probability over positives, of both anchors, averaged."""
    z, labels, size = first + second, classes * 2, len(first)
    total = [0.0] * size
    for i in range(2 * size):
        positives = [p for p in range(2 * size) if p != i and labels[p] == labels[i]]
        for p in positives:
            others = [cosine(z[i], z[k]) for k in range(2 * size) if k not in (i, p)]
            total[i % size] -= log_share(cosine(z[i], z[p]), others, t) / len(positives) / 2
    return total


def moco(q: list[Row], k: list[Row], index: list[int], queue: list[Row], rows: list[int], t: float) -> Row:
    """He et al. 2020, eq. 1; negatives are the keys in the queue that are not of the row itself."""
    found = []
    for i, query in enumerate(q):
        others = [cosine(query, n) for n, row in zip(queue, rows, strict=True) if row >= 0 and row != index[i]]
        found.append(-log_share(cosine(query, k[i]), others, t))
    return found


def moclr(q1: list[Row], q2: list[Row], k1: list[Row], k2: list[Row], t: float) -> Row:
    """Tian et al. 2021, section 3.1: each view against the other view's keys of the batch; the sum of both."""
    total = [0.0] * len(q1)
    for q, k in ((q1, k2), (q2, k1)):
        for i, query in enumerate(q):
            others = [cosine(query, k[j]) for j in range(len(k)) if j != i]
            total[i] -= log_share(cosine(query, k[i]), others, t)
    return total


def simsiam(p1: list[Row], p2: list[Row], z1: list[Row], z2: list[Row]) -> Row:
    """Chen and He 2021, eq. 2."""
    return [-cosine(p1[i], z2[i]) / 2 - cosine(p2[i], z1[i]) / 2 for i in range(len(p1))]


def byol(p1: list[Row], p2: list[Row], k1: list[Row], k2: list[Row]) -> Row:
    """Grill et al. 2020, eq. 2: the squared distances of rows divided by their lengths; the sum of both."""

    def distance(a: Row, b: Row) -> float:
        lengths = [math.sqrt(math.fsum(v * v for v in row)) for row in (a, b)]
        return math.fsum((x / lengths[0] - y / lengths[1]) ** 2 for x, y in zip(a, b, strict=True))

    return [distance(p1[i], k2[i]) + distance(p2[i], k1[i]) for i in range(len(p1))]
