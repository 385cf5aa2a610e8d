"""Kernel methods where classes are rare: from which rows landmarks are drawn, and what a correction of an SVM moves.

Rings: 6,000 rows of three classes of 90, 9 and 1 % on rings around each other, beside four columns that say nothing;
logistic regression on 500 landmarks from all classes alike, and from all rows, its log prior taken off. Gaussians: 900,
400 and 160 rows of three classes, whose least balanced error is known. Balanced accuracy in percent on 12,000 new rows
of equal classes.

    python -m benchmarks.kernels --out benchmarks/results/classical/kernels.json
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.classical import KernelRoot

Rows = tuple[NDArray[np.float64], NDArray[np.int64]]
TESTED = (4000,) * 3
RINGS, GAUSSIANS = (5400, 540, 60), (900, 400, 160)
RADII, NOISE, EXTRA = (3.0, 1.5, 0.0), 0.6, 4
MEANS = np.array([(0.0, 0.0), (1.5, 0.0), (0.75, 1.3)])
METHODS = ("svm", "svm-posthoc", "svm-cw", "kernel-logistic-posthoc")


def rings(seed: int, sizes: Sequence[int]) -> Rows:
    """Return rows of classes on rings of these radii, with noise."""
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    angle, radius = draw.uniform(0, 2 * np.pi, len(y)), np.array(RADII)[y]
    ring = np.c_[radius * np.cos(angle), radius * np.sin(angle)] + NOISE * draw.normal(size=(len(y), 2))
    return np.c_[ring, draw.normal(size=(len(y), EXTRA))], y


def gaussians(seed: int, sizes: Sequence[int]) -> Rows:
    """Return rows of classes that are normal with unit variance around `MEANS`."""
    y = np.repeat(np.arange(len(sizes)), sizes)
    return MEANS[y] + np.random.default_rng(seed).normal(size=(len(y), 2)), y


def accuracy(decided: NDArray[np.int64], y: NDArray[np.int64]) -> float:
    """Return the mean recall in percent."""
    return round(100 * float(np.mean([(decided[y == j] == j).mean() for j in range(len(TESTED))])), 1)


def landmarks(seed: int) -> dict[str, float]:
    """Return the balanced accuracy on landmarks from all classes alike and from all rows."""
    (x, y), (new, truth) = rings(seed, RINGS), rings(1000 + seed, TESTED)
    found = {}
    for way, labels in (("classes alike", y), ("all rows", None)):
        root = KernelRoot(random_state=seed).fit(x, labels)
        model = LogisticRegression(max_iter=1000).fit(root.transform(x), y)
        scores = model.predict_log_proba(root.transform(new)) - np.log(np.bincount(y))
        found[way] = accuracy(scores.argmax(1), truth)
    return found


def corrected(seed: int) -> dict[str, float]:
    """Return the balanced accuracy of each method, and of the rule that knows the distributions."""
    (x, y), (new, truth) = gaussians(seed, GAUSSIANS), gaussians(1000 + seed, TESTED)
    nearest = ((new[:, None] - MEANS) ** 2).sum(2).argmin(1)
    found = {"best": accuracy(nearest, truth)}
    for key in METHODS:
        model = lt.LongTailClassifier(key).fit(x, y)
        found[key] = accuracy(model.predict(new), truth)
    return found


def main() -> None:
    parser = argument_parser(__doc__, "classical/kernels.json")
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args()
    found = {
        "landmarks": [landmarks(seed) for seed in range(given.draws)],
        "gaussians": [corrected(seed) for seed in range(given.draws)],
    }
    for name, draws in found.items():
        for one in draws:
            print(name, one)
    save(given.out, {"machine": facts(), **found})


if __name__ == "__main__":
    main()
