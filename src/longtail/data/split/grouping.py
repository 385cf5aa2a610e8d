"""Assign rows to a held-out part or to folds, by class and by group.

Rows of one group (a patient, a video, a page) are never separated, and no class loses its last training row. What
cannot satisfy both rules is for training: a class whose rows all lie in one group is trained on and never tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Rows = NDArray[np.int64]

TRAINED = -1
"""The fold of rows that are in every training part."""
PASSES = 4
"""How often a hold-out considers every group: later passes move little."""


@dataclass(frozen=True)
class GroupTable:
    """G groups of N rows in C classes, and how many rows of each class each group has.

    ``codes``: (N,) group of every row in [0, G). ``table``: (G, C) rows, sparse. ``sizes``: (C,) rows per class.
    """

    codes: Rows
    table: csr_array
    sizes: Rows

    @classmethod
    def of(cls, labels: Rows, groups: NDArray[np.generic] | None) -> GroupTable:
        """Return the table of class indices (N,) and any group codes (N,); without groups every row is its own."""
        from scipy.sparse import csr_array

        codes = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
        table = csr_array((np.ones(len(labels), dtype=np.int64), (codes, labels)))
        table.sum_duplicates()
        return cls(codes.astype(np.int64), table, np.bincount(labels))

    def __len__(self) -> int:
        return int(self.table.shape[0])

    @cached_property
    def rows(self) -> Rows:
        """(G,) rows of every group."""
        return np.asarray(self.table.sum(axis=1)).ravel()

    def members(self, group: int) -> tuple[Rows, Rows]:
        """Return the classes of a group and its number of rows in each."""
        span = slice(self.table.indptr[group], self.table.indptr[group + 1])
        return self.table.indices[span], self.table.data[span]

    def in_one_group(self) -> NDArray[np.bool_]:
        """Return (C,) classes whose rows all lie in one group, such as a single example."""
        spread = np.bincount(self.table.indices, minlength=len(self.sizes))
        return np.asarray(spread == 1)

    def required(self) -> NDArray[np.bool_]:
        """Return (G,) groups that must be trained on, since a class has its rows nowhere else."""
        classes = (self.table[:, np.flatnonzero(self.in_one_group())] > 0).sum(axis=1)
        return np.asarray(classes > 0).ravel()


def held_out_groups(groups: GroupTable, share: float, generator: np.random.RandomState) -> NDArray[np.bool_]:
    """Return (N,) rows to hold out: whole groups, as near to the share of every class as they allow.

    Of a class with n rows w = round(share n) are wanted, at least one. Groups are considered in random order; one is
    added to the hold-out, or removed from it, where that decreases sum_j |n_j - w_j| / w_j of the n_j rows held out
    and leaves every class a group in training; repeated until nothing moves, at most PASSES times. Then each class
    without a row held out adds its smallest group that may be held out.
    """
    wanted = np.clip(np.round(share * groups.sizes), 1, np.maximum(groups.sizes - 1, 1))
    counts, out = np.zeros(len(groups.sizes)), np.zeros(len(groups), dtype=bool)
    order = generator.permutation(len(groups))
    movable = order[~groups.required()[order]]

    def move(group: int, must_improve: bool) -> bool:
        classes, rows = groups.members(group)
        before, sign = counts[classes], -1 if out[group] else 1
        after = before + sign * rows
        cost = (np.abs(after - wanted[classes]) - np.abs(before - wanted[classes])) / wanted[classes]
        if (must_improve and cost.sum() >= 0) or (after >= groups.sizes[classes]).any():
            return False
        counts[classes] = after
        out[group] = not out[group]
        return True

    for _ in range(PASSES):
        if not sum(move(group, must_improve=True) for group in movable):
            break
    columns = groups.table.tocsc()
    for j in np.flatnonzero((counts == 0) & ~groups.in_one_group() & (groups.sizes > 0)):
        members = columns.indices[columns.indptr[j] : columns.indptr[j + 1]]
        free = members[np.isin(members, movable) & ~out[members]]
        any(move(group, must_improve=False) for group in free[np.argsort(groups.rows[free], kind="stable")])
    return np.asarray(out[groups.codes])


def fold_rows(labels: Rows, k: int, generator: np.random.RandomState) -> Rows:
    """Return (N,) the fold of every row, without groups: class sizes, and fold sizes, differ by at most one.

    The rows of a class are shuffled and assigned to the folds in turn, each class starting where the last one ended.
    A class's only example is in no fold.
    """
    sizes = np.bincount(labels)
    order = []
    for j in generator.permutation(np.flatnonzero(sizes > 1)):
        rows = np.flatnonzero(labels == j)
        generator.shuffle(rows)
        order.append(rows)
    folds = np.full(len(labels), TRAINED, dtype=np.int64)
    tested = np.concatenate(order) if order else np.empty(0, dtype=np.int64)
    folds[tested] = generator.permutation(k)[np.arange(len(tested)) % k]
    return folds


def fold_groups(groups: GroupTable, k: int, trained: NDArray[np.bool_], generator: np.random.RandomState) -> Rows:
    """Return (G,) the fold of every group; none for `trained` ones and for one that fits nowhere.

    Largest group first (ties at random), each goes to the fold where its classes have the fewest rows, measured by
    sum_j (share of class j in the group) (share of class j in the fold); ties go to the smaller fold. No group goes
    to a fold that would then have all rows of a class.
    """
    shuffled = generator.permutation(len(groups))
    order = shuffled[np.argsort(-groups.rows[shuffled], kind="stable")]
    counts, total = np.zeros((k, len(groups.sizes)), dtype=np.int64), np.zeros(k, dtype=np.int64)
    folds = np.full(len(groups), TRAINED, dtype=np.int64)
    for group in order[~trained[order]]:
        classes, rows = groups.members(group)
        present, size = counts[:, classes], groups.sizes[classes]
        overlap = (present / size * (rows / size)).sum(axis=1)
        overlap[(present + rows >= size).any(axis=1)] = np.inf
        if not np.isfinite(overlap).any():
            continue
        fold = np.lexsort((total, overlap))[0]
        folds[group] = fold
        counts[fold, classes] += rows
        total[fold] += rows.sum()
    return folds


def groups_in_several(groups: np.ndarray, parts: np.ndarray) -> int:
    """Return how many groups have rows in several parts."""
    codes, names = (np.unique(a, return_inverse=True)[1].ravel() for a in (groups, parts))
    pairs = np.unique(np.stack([codes, names]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())
