"""What the label of a chosen row becomes, for every kind of noise: probabilities by its true class."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

import numpy as np

from longtail.data.simulate import noise as kinds
from longtail.data.simulate.noise import NAMED, Noise
from longtail.data.simulate.superclasses import CIFAR100
from longtail.facts.messages import quoted

BLOCK = 5
SHOWN = 8
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_CLASSES = tuple(sorted(name for names in CIFAR100.values() for name in names.split()))
DIGITS = tuple("0123456789")
SIMILAR_CLASSES = {
    CIFAR10_CLASSES: (
        ("truck", "automobile"), ("bird", "airplane"), ("cat", "dog"), ("dog", "cat"), ("deer", "horse"),
    ),
    DIGITS: (("7", "1"), ("2", "7"), ("3", "8"), ("5", "6"), ("6", "5")),
}  # fmt: skip
"""Class names -> the pairs of the SCE paper's noise on CIFAR-10 and MNIST."""
GROUPS = {
    CIFAR10_CLASSES: (("automobile", "truck"), ("cat", "dog")),
    CIFAR100_CLASSES: (
        tuple(CIFAR100["vehicles_1"].split()), tuple(CIFAR100["vehicles_2"].split()),
    ),
}  # fmt: skip
"""Class names -> the two groups within which HAR's code mixes labels."""
Row = Callable[[int], np.ndarray]
"""True class j -> (C,) probabilities of what the label of a chosen row of it becomes."""
Moves = dict[int, list[int]]


def target_rows(noise: Noise, counts: np.ndarray, classes: Sequence[str]) -> Row:
    """Return the probabilities of new labels.

    symmetric     1/(C - 1) for every class but j
    uniform       1/C, j among them
    pair-flip     the next class, after the last the first
    one-target    one class other than j, drawn once for every j; two-targets: two, each 1/2
    proportional  n_k / (N - n_j) for k != j
    prior         n_k / N, j among them
    asymmetric    the classes that the map names, in equal shares

    Args:
        noise: its kind, map and seed.
        counts: (C,) rows of every class before noise.
        classes: the C class names.
    """
    size = len(classes)
    if noise.kind in (kinds.PROPORTIONAL, kinds.PRIOR):
        return _by_counts(counts.astype(np.float64), with_itself=noise.kind == kinds.PRIOR)
    if noise.kind == kinds.SYMMETRIC:
        return _by_counts(np.ones(size), with_itself=False)
    if noise.kind == kinds.UNIFORM:
        return lambda j: np.full(size, 1 / size)
    if noise.kind == kinds.PAIR_FLIP:
        return lambda j: _shares(size, [(j + 1) % size])
    moves = class_moves(noise, classes) if noise.kind == kinds.ASYMMETRIC else _random_targets(noise, size)
    return lambda j: _shares(size, moves.get(j, [j]))


def sources(noise: Noise, classes: Sequence[str]) -> np.ndarray:
    """Return (C,) bool, the classes whose rows may be chosen: all, or those that a map names."""
    chosen = np.ones(len(classes), dtype=bool)
    if noise.kind == kinds.ASYMMETRIC:
        chosen[:] = False
        chosen[list(class_moves(noise, classes))] = True
    return chosen


def class_moves(noise: Noise, classes: Sequence[str]) -> Moves:
    """Return the map of asymmetric noise, class -> what it may become, in its order.

    Raises:
        ValueError: a class that the data do not have, or a named map that is not for these classes.
    """
    if noise.pairs:
        return _named_pairs(noise, classes)
    named = noise.map or (kinds.NEXT_OF_FIVE if tuple(classes) == CIFAR100_CLASSES else kinds.SIMILAR)
    if named == kinds.SIMILAR:
        similar = SIMILAR_CLASSES.get(tuple(classes))
        if similar is None:
            raise ValueError(
                f"{NAMED} asymmetric has a map of its own for cifar10, cifar100 and the digits 0 to 9 only, got other "
                f"classes; name the pairs, as in asymmetric:{noise.rate},{classes[0]}={classes[1]}"
            )
        return {classes.index(source): [classes.index(target)] for source, target in similar}
    if named == kinds.TWO_GROUPS:
        groups = GROUPS.get(tuple(classes))
        if groups is None:
            raise ValueError(
                f"{NAMED} map=two-groups is for the classes of cifar10 and cifar100, got others; name the pairs, as in "
                f"asymmetric:{noise.rate},{classes[0]}={classes[1]}"
            )
        numbers = [[classes.index(name) for name in group] for group in groups]
        return {j: [k for k in group if k != j] for group in numbers for j in group}
    if len(classes) % BLOCK:
        raise ValueError(
            f"{NAMED} map={named} needs a number of classes divisible by {BLOCK}, got {len(classes)}; name the pairs, "
            f"as in asymmetric:{noise.rate},{classes[0]}={classes[1]}"
        )
    blocks = np.arange(len(classes)).reshape(-1, BLOCK)
    if named == kinds.NEXT_OF_FIVE:
        return {int(j): [int(k)] for block in blocks for j, k in zip(block, np.roll(block, -1), strict=True)}
    generator = np.random.RandomState(noise.seed)
    pairs: Moves = {}
    for block in blocks:
        a, b = (int(j) for j in generator.choice(block, 2, replace=False))
        pairs |= {a: [b], b: [a]}
    return pairs


def _named_pairs(noise: Noise, classes: Sequence[str]) -> Moves:
    moves: Moves = {}
    for source, target in noise.pairs:
        j, k = _index(source, classes), _index(target, classes)
        if j == k or j in moves:
            why = "twice" if j in moves else "as its own target"
            raise ValueError(f"{NAMED} must give every class one other class, got {quoted(source)} {why}; remove it")
        moves[j] = [k]
    return moves


def _random_targets(noise: Noise, size: int) -> Moves:
    targets = 1 if noise.kind == kinds.ONE_TARGET else 2
    if size <= targets:
        raise ValueError(f"{NAMED} {noise.kind} needs at least {targets + 1} classes, got {size}; take symmetric")
    generator = np.random.RandomState(noise.seed)
    others = [np.delete(np.arange(size), j) for j in range(size)]
    return {j: [int(k) for k in generator.choice(rest, targets, replace=False)] for j, rest in enumerate(others)}


def _by_counts(counts: np.ndarray, *, with_itself: bool) -> Row:
    def row(j: int) -> np.ndarray:
        others = counts.copy()
        if not with_itself:
            others[j] = 0
        # with no row of another class there is nothing to become
        return others / others.sum() if others.any() else _shares(len(counts), [j])

    return row


def _shares(size: int, targets: Sequence[int]) -> np.ndarray:
    row = np.zeros(size)
    row[list(targets)] = 1 / len(targets)
    return row


def _index(name: str, classes: Sequence[str]) -> int:
    """Return the number of a class by its name, or by "#3" where its name cannot be written in the text."""
    if name in classes:
        return list(classes).index(name)
    if name.startswith("#") and name[1:].isascii() and name[1:].isdigit() and int(name[1:]) < len(classes):
        return int(name[1:])
    near = difflib.get_close_matches(name, classes, n=1)
    known = ", ".join(classes[:SHOWN]) + (", ..." if len(classes) > SHOWN else "")
    hint = f"did you mean {near[0]!r}?" if near else f"known are {known}"
    raise ValueError(f"{NAMED} must name classes of the data, got {quoted(name)}; {hint}")
