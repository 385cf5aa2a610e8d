"""Draw noisy labels, and the transition matrix that these draws have on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longtail.data.simulate import noise as kinds
from longtail.data.simulate.noise import NAMED, Noise
from longtail.data.simulate.noise_targets import class_moves, sources, target_rows

Labels = np.ndarray


def drawn_labels(labels: Labels, classes: Sequence[str], noise: Noise, like: Labels | None = None) -> Labels:
    """Return labels (N,) with noise, fixed by its seed.

    Args:
        labels: (N,) int64 clean labels.
        classes: the C class names.
        noise: what to draw.
        like: labels whose class sizes decide what a label becomes; None are `labels` themselves.

    Raises:
        ValueError: as in `row_chances`, `target_rows`.
    """
    generator, size = np.random.default_rng(noise.seed if like is None else [noise.seed, 1]), len(classes)
    if noise.sequential:
        return _one_after_another(labels, classes, noise, generator)
    reference = np.bincount(labels if like is None else like, minlength=size)
    rows = _chosen_rows(labels, classes, noise, reference, generator)
    becomes, noisy = target_rows(noise, reference, classes), labels.copy()
    for j, members in enumerate(_by_class(rows, labels, size)):
        if len(members):
            noisy[members] = generator.choice(size, len(members), p=becomes(j))
    return noisy


def expected_transition(noise: Noise, counts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return (C, C) float64: how probable it is that a row of true class i has label j, over all draws.

    T = I + diag(p) (Q - I), p the chance of a row of each class to be chosen and Q what its label becomes. With
    sequential=yes it is the product of one such matrix for every pair.
    """
    if noise.sequential:
        return _sequential_transition(noise, counts, classes)
    chances, becomes = row_chances(noise, counts, classes), target_rows(noise, counts, classes)
    matrix = np.eye(len(classes))
    for j, chance in enumerate(chances.tolist()):
        matrix[j] += chance * (becomes(j) - matrix[j])
    return matrix


def row_chances(noise: Noise, counts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return (C,) float64, the chance of a row of every class to be chosen.

    Raises:
        ValueError: a class has fewer rows than are to be chosen of it, or no such rate can be reached.
    """
    eligible = sources(noise, classes)
    rate = _share(noise, counts)
    if noise.counts == kinds.BINOMIAL:
        return np.where(eligible, rate, 0.0)
    if noise.counts == kinds.EXACT:
        total = int(counts[eligible].sum())
        return np.where(eligible, whole(rate, total) / max(total, 1), 0.0)
    numbers = _numbers(noise, rate, counts, eligible, classes)
    chances: np.ndarray = numbers / np.maximum(counts, 1)
    return chances


def whole(rate: float, rows: int) -> int:
    """Return trunc(rate x rows); 0.29 x 100 is just below 29 in floating point, but the number is 29."""
    return int(rate * rows * (1 + 1e-12))


def _numbers(noise: Noise, rate: float, counts: np.ndarray, eligible: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return (C,) int64, how many rows of every class are chosen."""
    if noise.counts == kinds.PER_CLASS:
        numbers = np.array([whole(rate, n) for n in counts.tolist()])
    else:
        numbers = np.full(len(classes), whole(rate, int(counts.sum())) // len(classes))
    numbers[~eligible] = 0
    if len(short := np.flatnonzero(numbers > counts)):
        j = int(short[0])
        raise ValueError(
            f"{NAMED} counts=equal takes as many rows of every class, got {numbers[j]} where class {classes[j]!r} has "
            f"{counts[j]}; lower the rate, or take counts=per-class"
        )
    return numbers


def _share(noise: Noise, counts: np.ndarray) -> float:
    """Return the share of rows to choose, of which the rate is the share of wrong labels where a label may stay."""
    if noise.kind != kinds.PRIOR:
        return noise.rate
    changes = 1 - float(((counts / counts.sum()) ** 2).sum())
    if noise.rate > changes:
        raise ValueError(
            f"{NAMED} prior can make at most {changes:.3g} of these labels wrong, since a label drawn by the class "
            f"sizes is often the same, got {noise.rate}; lower the rate, or take proportional"
        )
    return noise.rate / changes if noise.rate else 0.0


def _chosen_rows(
    labels: Labels, classes: Sequence[str], noise: Noise, reference: np.ndarray, generator: np.random.Generator
) -> Labels:
    """Return the rows that get a new label, ascending."""
    eligible, rate = sources(noise, classes), _share(noise, reference)
    if noise.counts == kinds.BINOMIAL:
        return np.flatnonzero((generator.random(len(labels)) < rate) & eligible[labels])
    if noise.counts == kinds.EXACT:
        rows = np.flatnonzero(eligible[labels])
        return np.sort(generator.permutation(rows)[: whole(rate, len(rows))])
    counts = np.bincount(labels, minlength=len(classes))
    numbers = _numbers(noise, rate, counts, eligible, classes)
    members = _by_class(np.arange(len(labels)), labels, len(classes))
    return np.sort(np.concatenate([generator.permutation(members[j])[:n] for j, n in enumerate(numbers.tolist())]))


def _by_class(rows: Labels, labels: Labels, size: int) -> list[Labels]:
    """Return for every class the rows among these that have its label, in their order."""
    order = rows[np.argsort(labels[rows], kind="stable")]
    return np.split(order, np.cumsum(np.bincount(labels[rows], minlength=size))[:-1])


def _one_after_another(labels: Labels, classes: Sequence[str], noise: Noise, generator: np.random.Generator) -> Labels:
    """Return labels changed pair by pair, each time among the rows that have the label by now."""
    noisy = labels.copy()
    for source, targets in class_moves(noise, classes).items():
        members = np.flatnonzero(noisy == source)
        if noise.counts == kinds.BINOMIAL:
            rows = members[generator.random(len(members)) < noise.rate]
        else:
            rows = generator.permutation(members)[: whole(noise.rate, len(members))]
        noisy[rows] = targets[0]
    return noisy


def _sequential_transition(noise: Noise, counts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    matrix, present = np.eye(len(classes)), counts.astype(np.float64)
    for source, targets in class_moves(noise, classes).items():
        moved = noise.rate * present[source]
        if noise.counts == kinds.PER_CLASS:  # then all sizes on the way are whole numbers
            moved = whole(noise.rate, int(present[source]))
        step, chance = np.eye(len(classes)), moved / max(present[source], 1)
        step[source, source] -= chance
        step[source, targets[0]] += chance
        matrix = matrix @ step
        present[source] -= moved
        present[targets[0]] += moved
    return matrix
