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


def cavl_update(z: Row, candidates: list[bool]) -> Row:
    """Zhang et al. 2022: the one-hot candidate of the largest |z - 1| z."""
    values = {k: abs(v - 1) * v for k, v in enumerate(z) if candidates[k]}
    best = max(values, key=lambda k: values[k])
    return [float(k == best) for k in range(len(z))]


def lw_update(z: Row, candidates: list[bool]) -> Row:
    """Wen et al. 2021: shares inside the candidates, and, written as negative, inside the others."""
    p = softmax(z)
    inside = math.fsum(p[k] for k in range(len(z)) if candidates[k])
    outside = math.fsum(p[k] for k in range(len(z)) if not candidates[k])
    return [p[k] / inside if candidates[k] else -p[k] / outside for k in range(len(z))]


def lw_loss(z: Row, w: Row, candidates: list[bool], beta: float, form: str) -> float:
    """Wen et al. 2021, with the sigmoid loss or with cross-entropies."""
    p, total = softmax(z), 0.0
    for k, v in enumerate(z):
        if form == "sigmoid":
            yes, no = 1 / (1 + math.exp(v)), 1 / (1 + math.exp(-v))
        else:
            yes, no = -math.log(p[k]), -math.log(math.fsum(p[:k] + p[k + 1 :]))
        total += w[k] * yes if candidates[k] else -beta * w[k] * no
    return total


def corr_loss(views: list[Row], q: Row, candidates: list[bool], consistency: float) -> float:
    """Wu et al. 2022, as Hong et al. 2023 have it: other classes lowered and KL(q || p) in every view."""
    total = 0.0
    for z in views:
        p = softmax(z)
        for k in range(len(z)):
            if not candidates[k]:
                total -= math.log(math.fsum(p[:k] + p[k + 1 :]))
            if q[k] > 0:
                total += consistency * q[k] * math.log(q[k] / p[k])
    return total


def corr_update(views: list[Row], candidates: list[bool]) -> Row:
    """The root of the product of both views' probabilities on the candidates, renormalised."""
    weak, strong = map(softmax, views)
    inside = [math.sqrt(a * b) if c else 0.0 for a, b, c in zip(weak, strong, candidates, strict=True)]
    return [v / math.fsum(inside) for v in inside]


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
