"""Rows into parts, by class and by group: who is held out, who stands in which fold.

Rows of one group (a patient, a video, a page) are never parted, and no class loses its last training row. What cannot
be had under both rules stays in training: a class whose rows all lie in one group is trained on and never tested.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Rows = NDArray[np.int64]

TRAINED = -1
"""The fold of rows that stay in every training part."""
PASSES = 4
"""How often a hold-out looks at every group: what is moved in later passes is little."""


@dataclass(frozen=True)
class Grouped:
    """G groups of N rows in C classes, and how many rows of each class each group has.

    ``codes``: (N,) group of every row in [0, G). ``table``: (G, C) rows, sparse. ``sizes``: (C,) rows per class.
    """

    codes: Rows
    table: csr_array
    sizes: Rows

    @classmethod
    def of(cls, labels: Rows, groups: NDArray[np.generic] | None) -> Grouped:
        """From class indices (N,) and any group codes (N,); without groups every row is its own."""
        codes = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
        table = csr_array((np.ones(len(labels), dtype=np.int64), (codes, labels)))
        table.sum_duplicates()
        return cls(codes.astype(np.int64), table, np.bincount(labels))

    def __len__(self) -> int:
        return int(self.table.shape[0])

    def members(self, group: int) -> tuple[Rows, Rows]:
        """The classes of a group and its rows in each."""
        span = slice(self.table.indptr[group], self.table.indptr[group + 1])
        return self.table.indices[span], self.table.data[span]

    def lonely(self) -> NDArray[np.bool_]:
        """(C,) classes whose rows all lie in one group, a single example among them."""
        spread = np.bincount(self.table.indices, minlength=len(self.sizes))
        return np.asarray(spread == 1)

    def pinned(self) -> NDArray[np.bool_]:
        """(G,) groups that must stay in training, since a class has its rows nowhere else."""
        holds = (self.table[:, np.flatnonzero(self.lonely())] > 0).sum(axis=1)
        return np.asarray(holds > 0).ravel()


def held_out_groups(found: Grouped, share: float, generator: np.random.RandomState) -> NDArray[np.bool_]:
    """(N,) rows to hold out: whole groups, as near to the share of every class as they allow.

    Of a class with n rows w = round(share n) are wanted, at least one. Groups are looked at in random order, and one
    is taken, or given back, where that brings sum_j |held_j - w_j| / w_j down and leaves every class a group in
    training; again until nothing moves, PASSES times at most. Then each class that got nothing takes its smallest
    group that may go.
    """
    wanted = np.clip(np.round(share * found.sizes), 1, np.maximum(found.sizes - 1, 1))
    held, taken = np.zeros(len(found.sizes)), np.zeros(len(found), dtype=bool)
    order = generator.permutation(len(found))
    movable = order[~found.pinned()[order]]

    def move(group: int, gainful: bool) -> bool:
        classes, rows = found.members(group)
        now, sign = held[classes], -1 if taken[group] else 1
        after = now + sign * rows
        cost = (np.abs(after - wanted[classes]) - np.abs(now - wanted[classes])) / wanted[classes]
        if (gainful and cost.sum() >= 0) or (after >= found.sizes[classes]).any():
            return False
        held[classes] = after
        taken[group] = not taken[group]
        return True

    for _ in range(PASSES):
        if not sum(move(group, gainful=True) for group in movable):
            break
    size = np.asarray(found.table.sum(axis=1)).ravel()
    columns = found.table.tocsc()
    for j in np.flatnonzero((held == 0) & ~found.lonely() & (found.sizes > 0)):
        having = columns.indices[columns.indptr[j] : columns.indptr[j + 1]]
        free = having[np.isin(having, movable) & ~taken[having]]
        any(move(group, gainful=False) for group in free[np.argsort(size[free], kind="stable")])
    return np.asarray(taken[found.codes])


def dealt_rows(labels: Rows, k: int, generator: np.random.RandomState) -> Rows:
    """(N,) fold of every row, without groups: class sizes differ by at most one between folds, and so do fold sizes.

    The rows of a class are shuffled and dealt out in turn, each class going on where the last one stopped. A single
    example stays in training.
    """
    sizes = np.bincount(labels)
    order = []
    for j in generator.permutation(np.flatnonzero(sizes > 1)):
        rows = np.flatnonzero(labels == j)
        generator.shuffle(rows)
        order.append(rows)
    folds = np.full(len(labels), TRAINED, dtype=np.int64)
    dealt = np.concatenate(order) if order else np.empty(0, dtype=np.int64)
    folds[dealt] = generator.permutation(k)[np.arange(len(dealt)) % k]
    return folds


def dealt_groups(found: Grouped, k: int, fixed: NDArray[np.bool_], generator: np.random.RandomState) -> Rows:
    """(G,) fold of every group; ``fixed`` ones stay in training, and so does one that fits nowhere.

    Largest group first (ties at random), each goes to the fold where its classes are least filled, measured by
    sum_j (share of class j in the group) (share of class j in the fold); ties go to the smaller fold. A fold that
    would then hold all rows of a class is not open to it.
    """
    size = np.asarray(found.table.sum(axis=1)).ravel()
    shuffled = generator.permutation(len(found))
    order = shuffled[np.argsort(-size[shuffled], kind="stable")]
    filled, total = np.zeros((k, len(found.sizes)), dtype=np.int64), np.zeros(k, dtype=np.int64)
    folds = np.full(len(found), TRAINED, dtype=np.int64)
    for group in order[~fixed[order]]:
        classes, rows = found.members(group)
        here, every = filled[:, classes], found.sizes[classes]
        crowd = (here / every * (rows / every)).sum(axis=1)
        crowd[(here + rows >= every).any(axis=1)] = np.inf
        if not np.isfinite(crowd).any():
            continue
        fold = np.lexsort((total, crowd))[0]
        folds[group] = fold
        filled[fold, classes] += rows
        total[fold] += rows.sum()
    return folds
