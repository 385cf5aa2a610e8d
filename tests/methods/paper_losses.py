"""The losses of one example of each class as the papers write them, in plain loops: what methods are checked with."""

from __future__ import annotations

import math
from collections.abc import Callable

COUNTS = (100, 30, 5)
LOGITS = [[0.3, -0.2, 0.9], [0.1, 0.8, -0.5], [-0.7, 0.2, 0.4]]


def nll(z: list[float], y: int) -> float:
    return math.log(sum(math.exp(v) for v in z)) - z[y]


def effective(beta: float = 0.9999) -> list[float]:
    raw = [(1 - beta) / (1 - beta**n) for n in COUNTS]
    return [3 * w / sum(raw) for w in raw]


def softplus(z: float) -> float:
    return math.log1p(math.exp(z))


def ldam(y: int, max_margin: float = 0.5, scale: float = 30.0) -> float:
    margins = [n**-0.25 for n in COUNTS]
    margin = max_margin * margins[y] / max(margins)
    return nll([scale * (z - margin * (j == y)) for j, z in enumerate(LOGITS[y])], y)


def lead(y: int) -> float:
    return LOGITS[y][y] - max(v for j, v in enumerate(LOGITS[y]) if j != y)


def maximum(y: int, less: float = 0.0) -> float:
    minus, m = 0.6 - less, lead(y)
    return nll([30 * (z - math.exp(-m - 1.5 * minus if m > 0 else m - minus) * (j == y))
                for j, z in enumerate(LOGITS[y])], y)  # fmt: skip


def margin(y: int) -> float:
    return 0.5 * (5 / COUNTS[y]) ** 0.25


def pairwise(y: int, delta: Callable[[int], float]) -> float:
    z = LOGITS[y]
    return math.log(1 + sum(math.exp(delta(k) + z[k] - z[y]) for k in range(3) if k != y))


def scaled(y: int, gamma: float, tau: float) -> float:
    return nll([(n / 100) ** gamma * z + tau * math.log(n / 135) for n, z in zip(COUNTS, LOGITS[y], strict=True)], y)


def log_prior(k: int) -> float:
    return math.log(COUNTS[k] / 135)


def quarter(y: int) -> float:
    return (COUNTS[y] / 135) ** -0.25


def binary(y: int) -> list[float]:
    """1 - t_j z_j of every class."""
    return [1 - (1 if j == y else -1) * z for j, z in enumerate(LOGITS[y])]


EXPECTED = {
    "m-drw": [nll([30 * (z - 0.5 * (j == y)) for j, z in enumerate(LOGITS[y])], y) for y in range(3)],
    "ldam-hg": [max(margin(y) - lead(y), 0) for y in range(3)],
    "ldam-hg-drs": [max(margin(y) - lead(y), 0) for y in range(3)],
    "hg-drs": [max(0.5 - lead(y), 0) for y in range(3)],
    "mm": [maximum(y) for y in range(3)],
    "mm-drw": [maximum(y) for y in range(3)],
    "mm-ldam-drw": [maximum(y, less=margin(y)) for y in range(3)],
    "hinge": [sum(max(u, 0) for u in binary(y)) for y in range(3)],
    "ls-svm": [sum(u**2 for u in binary(y)) for y in range(3)],
    "adaptive": [pairwise(y, lambda k, y=y: quarter(y)) for y in range(3)],
    "equalised": [pairwise(y, log_prior) for y in range(3)],
    "equalised(shape='sqrt')": [pairwise(y, lambda k: log_prior(k) / 2) for y in range(3)],
    "equalised(shape='relative')": [pairwise(y, lambda k: math.log(COUNTS[k] / 100)) for y in range(3)],
    "logit-adjusted-adaptive": [
        pairwise(y, lambda k, y=y: log_prior(k) - log_prior(y) + quarter(y)) for y in range(3)
    ],
    "cdt": [scaled(y, 0.2, 0.0) for y in range(3)],
    "vs": [scaled(y, 0.15, 1.0) for y in range(3)],
    "vs-tla-adrw": [scaled(y, 0.15, 1.0) for y in range(3)],
    "logit-adjusted-threshold": [scaled(y, 0.0, 1.0) for y in range(3)],
    "ce": [nll(z, y) for y, z in enumerate(LOGITS)],
    "cb-rs": [nll(z, y) for y, z in enumerate(LOGITS)],
    "sqrt-rs": [nll(z, y) for y, z in enumerate(LOGITS)],
    "ce-drs": [nll(z, y) for y, z in enumerate(LOGITS)],
    "ce-drw": [nll(z, y) for y, z in enumerate(LOGITS)],
    "sigmoid-ce": [sum(softplus(-v if j == y else v) for j, v in enumerate(z)) for y, z in enumerate(LOGITS)],
    "focal": [(1 - math.exp(-nll(z, y))) ** 2 * nll(z, y) for y, z in enumerate(LOGITS)],
    "focal-drw": [(1 - math.exp(-nll(z, y))) ** 2 * nll(z, y) for y, z in enumerate(LOGITS)],
    "cb-ce": [w * nll(z, y) for y, (z, w) in enumerate(zip(LOGITS, effective(), strict=True))],
    "cb-focal": [
        w * sum(
            (1 - math.exp(-softplus(-v if j == y else v))) * softplus(-v if j == y else v) for j, v in enumerate(z)
        )
        for y, (z, w) in enumerate(zip(LOGITS, effective(), strict=True))
    ],
    "ldam": [ldam(y) for y in range(3)],
    "ldam-drw": [ldam(y) for y in range(3)],
    "logit-adjusted": [nll([v + math.log(n / 135) for v, n in zip(z, COUNTS, strict=True)], y)
                       for y, z in enumerate(LOGITS)],
    "balanced-softmax": [
        -math.log(COUNTS[y] * math.exp(z[y]) / sum(n * math.exp(v) for v, n in zip(z, COUNTS, strict=True)))
        for y, z in enumerate(LOGITS)
    ],
}  # fmt: skip
