"""Contrastive losses as the papers write them, one anchor and one candidate at a time, in float64."""

from __future__ import annotations

import math

Row = list[float]


def cosine(a: Row, b: Row) -> float:
    """<a, b> / (|a| |b|)."""
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


def log_share(positive: float, scores: Row) -> float:
    """log( exp(positive) / sum exp(scores) ), the positive being one of the scores."""
    largest = max(scores)
    return positive - largest - math.log(math.fsum(math.exp(s - largest) for s in scores))


def anchors(first: list[Row], second: list[Row], t: float, rows: list[int], others: list[tuple[Row, int]]) -> Row:
    """-log p of the partner for the 2N anchors: first views, then second ones.

    A candidate is any other projection, here or of the others, whose row is not the anchor's; and the partner.
    """
    size = len(first)
    here = [(z, rows[k % size], k) for k, z in enumerate(first + second)]
    there = [(z, row, -1) for z, row in others]
    losses = []
    for z, row, i in here:
        partner = (i + size) % (2 * size)
        scores = [cosine(z, w) / t for w, other, k in here + there if k == partner or other != row]
        losses.append(-log_share(cosine(z, here[partner][0]) / t, scores))
    return losses


def of_anchors(values: Row) -> Row:
    """The mean of an example's two anchors."""
    size = len(values) // 2
    return [(values[i] + values[i + size]) / 2 for i in range(size)]


def focal(nll: float, gamma: float) -> float:
    """-(1 - p)^gamma log p."""
    return (1 - math.exp(-nll)) ** gamma * nll


def info_nce(queries: list[Row], keys: list[Row], t: float, negatives: list[list[Row]]) -> Row:
    """He et al. 2020, eq. 1: the key of each query against its own list of negatives."""
    losses = []
    for q, k, others in zip(queries, keys, negatives, strict=True):
        positive = cosine(q, k) / t
        losses.append(-log_share(positive, [positive] + [cosine(q, n) / t for n in others]))
    return losses


def sup_con(first: list[Row], second: list[Row], labels: list[int], t: float, others: list[tuple[Row, int]]) -> Row:
    """Khosla et al. 2020, eq. 2, both anchors of each example averaged; a label < 0 is nobody's class."""
    size = len(first)
    here = [(z, labels[k % size], k) for k, z in enumerate(first + second)]
    candidates = here + [(z, label, -1) for z, label in others]
    losses = []
    for z, label, i in here:
        scores = [cosine(z, w) / t for w, _, k in candidates if k != i]
        positives = [
            cosine(z, w) / t
            for w, other, k in candidates
            if k != i and (k == (i + size) % (2 * size) or (label >= 0 and other == label))
        ]
        losses.append(-math.fsum(log_share(p, scores) for p in positives) / len(positives))
    return of_anchors(losses)
