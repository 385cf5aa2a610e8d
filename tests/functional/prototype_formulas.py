"""Judging labels by class prototypes, written from the facts of RoLT: loops over rows and classes.

Of the mixture's fit there is one implementation, scikit-learn's, as in the released code.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.mixture import GaussianMixture

Rows = list[list[float]]


def units(rows: Rows, weight: list[float]) -> Rows:
    total = sum(weight)
    mean = [sum(s * row[d] for s, row in zip(weight, rows, strict=True)) / total for d in range(len(rows[0]))]
    found = []
    for row in rows:
        moved = [a - b for a, b in zip(row, mean, strict=True)]
        length = math.sqrt(sum(a * a for a in moved))
        found.append([a / length for a in moved] if length else moved)
    return found


def logits(x: Rows, y: list[int], classes: int, weight: list[float]) -> Rows:
    found = [[-math.inf] * classes for _ in x]
    for j in range(classes):
        own = [i for i in range(len(x)) if y[i] == j and weight[i] > 0]
        if not own:
            continue
        total = sum(weight[i] for i in own)
        c = [sum(weight[i] * x[i][d] for i in own) / total for d in range(len(x[0]))]
        for i in range(len(x)):
            found[i][j] = -sum((a - b) ** 2 for a, b in zip(x[i], c, strict=True))
    return found


def mask(z: Rows, y: list[int], classes: int) -> list[bool]:
    clean = [True] * len(y)
    for j in range(classes):
        own = [i for i in range(len(y)) if y[i] == j]
        values = [z[i][j] for i in own]
        if len(own) < 2 or max(values) == min(values):
            continue
        scaled = np.array([[(v - min(values)) / (max(values) - min(values))] for v in values])
        mixture = GaussianMixture(n_components=2, random_state=0).fit(scaled)
        found = mixture.predict(scaled)
        near = 0 if mixture.means_[0, 0] > mixture.means_[1, 0] else 1
        if near in found:
            for i, group in zip(own, found, strict=True):
                clean[i] = bool(group == near)
    return clean


def judged(rows: Rows, y: list[int], classes: int, weight: list[float] | None = None) -> tuple[Rows, list[bool]]:
    s = [1.0] * len(rows) if weight is None else weight
    x = units(rows, s)
    first = mask(logits(x, y, classes, s), y, classes)
    refined = logits(x, y, classes, [w if kept else 0.0 for w, kept in zip(s, first, strict=True)])
    return refined, mask(refined, y, classes)
