"""Losses of candidate sets and of pairs of views in float64, written from the papers; nothing of longtail is used."""

from __future__ import annotations

import math

Row = list[float]


def softmax(z: Row) -> Row:
    """e^z_k / sum e^z_j."""
    largest = max(z)
    powers = [math.exp(v - largest) for v in z]
    return [p / math.fsum(powers) for p in powers]


def cc(z: Row, candidates: list[bool]) -> float:
    """Feng et al. 2020: -log of the summed probabilities of the candidates."""
    return -math.log(math.fsum(p for p, inside in zip(softmax(z), candidates, strict=True) if inside))


def proden_loss(z: Row, q: Row) -> float:
    """Lv et al. 2020, eq. 7: cross-entropies of all labels, weighted by the confidences."""
    return -math.fsum(w * math.log(p) for w, p in zip(q, softmax(z), strict=True) if w > 0)


def proden_update(z: Row, candidates: list[bool]) -> Row:
    """Lv et al. 2020, eq. 8: the share of each candidate in the probability of all of them."""
    inside = [p if c else 0.0 for p, c in zip(softmax(z), candidates, strict=True)]
    return [p / math.fsum(inside) for p in inside]


def cosine(a: Row, b: Row) -> float:
    """<a, b> / (|a| |b|)."""
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


def nt_xent(first: list[Row], second: list[Row], t: float) -> Row:
    """Chen et al. 2020, eq. 1, for both anchors of each example, averaged."""
    z, size = first + second, len(first)

    def anchor(i: int, partner: int) -> float:
        similar = {k: cosine(z[i], z[k]) / t for k in range(2 * size) if k != i}
        largest = max(similar.values())
        return -similar[partner] + largest + math.log(math.fsum(math.exp(s - largest) for s in similar.values()))

    return [(anchor(i, i + size) + anchor(i + size, i)) / 2 for i in range(size)]
