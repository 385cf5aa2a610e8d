"""Repeated cross-validation: every row is tested once by a model that did not train on it, again for every seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.label_kinds import count_classes
from longtail.data.origin import Origin
from longtail.data.pool import Pool
from longtail.data.split.grouping import TRAINED, Grouped, Rows, dealt_groups, dealt_rows
from longtail.data.split.holdout import (
    assembled,
    declares_no_test,
    hold_out,
    more_to_test,
    nothing_to_test,
    weights_noted,
)
from longtail.data.split.limits import check_share
from longtail.data.splits import DATA_SEED, Splits
from longtail.facts.messages import quoted

ATTEMPTS = 20
"""Partitions that are tried for a seed, until one tests the groups that seed 0 tests."""


@dataclass(frozen=True)
class Folds:
    """A pool in k folds, anew for every repetition; to a comparison it is what `Splits` are.

    Folds are stratified and keep groups together. Every row is tested exactly once, but for those that must stay in
    every training part: a class's only example, and a group that alone holds a class (or cannot be placed without
    taking a class out of training). So no training part ever lacks a class. All repetitions test the same rows.

    Args:
        pool: all rows, without a declared split (or all of them declared to be training rows).
        k: folds, >= 2.
        val: share of each fold's training rows withheld for validation, for methods that tune on it.

    Raises:
        ValueError: k below 2 or above what there is to test, a declared split.
    """

    pool: Pool
    k: int
    val: float | None = None
    _partitions: dict[int, Rows] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_folds(self.k)
        if self.val is not None:
            check_share("val (--val)", self.val)
        if len(self.classes) < 2:
            raise ValueError(
                f"data must have at least two classes, got only {self.classes[0]!r}; nothing to tell apart"
            )
        named = sorted({"train"} if self.pool.parts is None else {str(p) for p in np.unique(self.pool.parts)})
        if named != ["train"]:
            raise ValueError(
                f"folds (--folds) need data without a split of their own, got {', '.join(named)} rows; "
                "leave out folds or the split"
            )
        tested = int((self.partition(0) != TRAINED).sum())
        most = tested if self.pool.groups is None else len(np.unique(self._grouped.codes[self.partition(0) != TRAINED]))
        if most < 2:
            raise ValueError(f"{nothing_to_test(self.pool)}, so there is nothing for folds; {more_to_test(self.pool)}")
        if most < self.k:
            what = "examples" if self.pool.groups is None else "groups"
            raise ValueError(f"folds must be at most the {most} {what} that can be tested, got {self.k}; take fewer")

    @property
    def name(self) -> str:
        """What tables and folders call the data."""
        return self.pool.name

    @property
    def origin(self) -> Origin | None:
        """What the pool was read from."""
        return self.pool.origin

    @property
    def classes(self) -> tuple[str, ...]:
        """The C class names in index order."""
        return self.pool.classes

    @property
    def class_counts(self) -> Tensor:
        """(C,) of the whole pool; a training part has about (k - 1)/k of it."""
        return self.pool.class_counts

    @property
    def test_counts(self) -> Tensor:
        """(C,) of the rows that are tested."""
        rows = self.tested
        weight = None if self.pool.sample_weight is None else self.pool.sample_weight[rows]
        return count_classes(self.pool.targets[rows], len(self.classes), weight)

    @property
    def facts(self) -> dict[str, Any]:
        """How the data came about, with the number of folds: a comparison's identity."""
        return {**self.pool.facts, "folds": self.k, **({} if self.val is None else {"val": self.val})}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the reader of a table."""
        split = (
            f"{self.k}-fold cross-validation: each of {len(self.tested)} examples is tested once, by a model trained "
            "on the other folds; every seed draws its own folds"
        )
        undeclared = [] if self.pool.parts is None else [declares_no_test(self.pool.parts)]
        return (*self.pool.notes, *undeclared, split, *self._kept(), *weights_noted(self.pool))

    def _kept(self) -> list[str]:
        """Which rows are never tested, and why."""
        count = len(self.pool) - len(self.tested)
        if not count:
            return []
        untested = torch.bincount(self.pool.targets[self.tested], minlength=len(self.classes)) == 0
        names = [name for name, j in zip(self.classes, untested.tolist(), strict=True) if j]
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        why = "the only one of its class" if self.pool.groups is None else "in a group that a class needs"
        rows = "1 example is" if count == 1 else f"{count} examples are"
        each = "" if count == 1 else "each "
        cannot = f"; {len(names)} of {len(self.classes)} classes cannot be measured: {shown}" if names else ""
        return [f"{rows} trained on in every fold and never tested, {each}{why}{cannot}"]

    @cached_property
    def hash(self) -> str:
        """SHA-256 over every value of the pool, its groups, k and val."""
        digest = hashlib.sha256(f"folds {self.k} {self.val}".encode())
        self.pool.rows.update_hash(digest)
        digest.update("\0".join(self.classes).encode())
        weight = None if self.pool.sample_weight is None else self.pool.sample_weight.numpy()
        codes = None if self.pool.groups is None else self._grouped.codes
        for array in (self.pool.targets.numpy(), codes, weight):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @cached_property
    def _grouped(self) -> Grouped:
        return Grouped.of(self.pool.targets.numpy(), self.pool.groups)

    @property
    def tested(self) -> Tensor:
        """(M,) int64 rows of the pool that are tested, ascending, the same in all repetitions."""
        return torch.from_numpy(np.flatnonzero(self.partition(0) != TRAINED))

    def partition(self, seed: int) -> Rows:
        """(N,) int64: the fold in which a repetition tests each row, -1 for rows that it always trains on."""
        if seed not in self._partitions:
            self._partitions[seed] = self._dealt(seed)
        return self._partitions[seed].copy()

    def _dealt(self, seed: int) -> Rows:
        if self.pool.groups is None:
            return dealt_rows(self.pool.targets.numpy(), self.k, np.random.RandomState([DATA_SEED, seed, 0]))
        found = self._grouped
        if seed == 0:
            fixed = found.pinned()
            return dealt_groups(found, self.k, fixed, np.random.RandomState([DATA_SEED, 0, 0]))[found.codes]
        first = self.partition(0)
        fixed = np.zeros(len(found), dtype=bool)
        fixed[found.codes[first == TRAINED]] = True
        for attempt in range(ATTEMPTS):
            folds = dealt_groups(found, self.k, fixed, np.random.RandomState([DATA_SEED, seed, attempt]))
            if np.array_equal(folds == TRAINED, fixed):
                return folds[found.codes]
        return first  # so few ways to place the groups that only that one was found

    def splits(self, seed: int, fold: int) -> Splits:
        """Training and test part of one fold of one repetition, prepared by its own training rows."""
        folds = torch.from_numpy(self.partition(seed))
        if not 0 <= fold < self.k:
            raise ValueError(f"fold must be in [0, {self.k}), got {fold}; folds are count_classes from 0")
        rows = {"train": torch.nonzero(folds != fold).flatten(), "test": torch.nonzero(folds == fold).flatten()}
        if self.val is not None:
            rows["train"], rows["val"] = hold_out(self.pool, rows["train"], self.val)
        return assembled(self.pool, rows, {**self.facts, "repetition": seed, "fold": fold}, []).checked()


def check_folds(k: Any) -> None:
    """Raise ValueError where k is no number of folds."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 2:
        raise ValueError(f"folds must be an integer >= 2, got {quoted(k)}; 5 is usual")
