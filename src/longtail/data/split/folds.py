"""Repeated cross-validation: for every seed each row is tested once, by a model that did not train on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.label_kinds import check_classes, count_classes
from longtail.data.origin import Origin
from longtail.data.pool import Pool
from longtail.data.split.grouping import TRAINED, GroupTable, Rows, fold_groups, fold_rows
from longtail.data.split.holdout import assemble, declares_no_test, hold_out, untestable, weight_notes
from longtail.data.split.limits import check_share
from longtail.data.splits import DATA_SEED, Splits
from longtail.facts.messages import quoted

ATTEMPTS = 20
"""Partitions to try for a seed, until one tests the groups that seed 0 tests."""


@dataclass(frozen=True)
class Folds:
    """A pool in k folds, drawn again for every repetition; a comparison uses it like `Splits`.

    Folds are stratified and keep groups together. Every row is tested exactly once, except those that must be in
    every training part: a class's only example, and a group that has all rows of a class (or cannot be placed without
    removing a class from training). So no training part ever lacks a class. All repetitions test the same rows.

    Args:
        pool: all rows, without a declared split (or all of them declared to be training rows).
        k: folds, >= 2.
        val: share of each fold's training rows withheld for validation, for methods that tune on it.

    Raises:
        ValueError: k below 2 or above the number of examples or groups to test, a declared split.
    """

    pool: Pool
    k: int
    val: float | None = None
    _partitions: dict[int, Rows] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_folds(self.k)
        if self.val is not None:
            check_share("val (--val)", self.val)
        check_classes(self.classes)
        declared = sorted({"train"} if self.pool.parts is None else {str(p) for p in np.unique(self.pool.parts)})
        if declared != ["train"]:
            raise ValueError(
                f"folds (--folds) need data without a split of their own, got {', '.join(declared)} rows; "
                "leave out folds or the split"
            )
        most = len(self.tested if self.pool.groups is None else np.unique(self._groups.codes[self.tested.numpy()]))
        if most < 2:
            reason, way_out = untestable(self.pool)
            raise ValueError(f"{reason}, so there is nothing for folds; {way_out}")
        if most < self.k:
            what = "examples" if self.pool.groups is None else "groups"
            raise ValueError(f"folds must be at most the {most} {what} that can be tested, got {self.k}; take fewer")

    @property
    def name(self) -> str:
        """The name of the data in tables and folders."""
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
        """Where the data come from, with the number of folds: a comparison's identity."""
        return {**self.pool.facts, "folds": self.k, **({} if self.val is None else {"val": self.val})}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the reader of a table."""
        split = (
            f"{self.k}-fold cross-validation: each of {len(self.tested)} examples is tested once, by a model trained "
            "on the other folds; every seed draws its own folds"
        )
        undeclared = [] if self.pool.parts is None else [declares_no_test(self.pool.parts)]
        return (*self.pool.notes, *undeclared, split, *self._never_tested(), *weight_notes(self.pool))

    def _never_tested(self) -> list[str]:
        """Return a note on rows that are never tested, and why."""
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
        codes = None if self.pool.groups is None else self._groups.codes
        for array in (self.pool.targets.numpy(), codes, weight):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @cached_property
    def _groups(self) -> GroupTable:
        return GroupTable.of(self.pool.targets.numpy(), self.pool.groups)

    @property
    def tested(self) -> Tensor:
        """(M,) int64 rows of the pool that are tested, ascending, the same in all repetitions."""
        return torch.from_numpy(np.flatnonzero(self.partition(0) != TRAINED))

    def partition(self, seed: int) -> Rows:
        """Return (N,) int64: the fold in which a repetition tests each row, -1 for rows that it always trains on."""
        if seed not in self._partitions:
            self._partitions[seed] = self._partition(seed)
        return self._partitions[seed].copy()

    def _partition(self, seed: int) -> Rows:
        if self.pool.groups is None:
            return fold_rows(self.pool.targets.numpy(), self.k, np.random.RandomState([DATA_SEED, seed, 0]))
        groups = self._groups
        if seed == 0:
            return fold_groups(groups, self.k, groups.required(), np.random.RandomState([DATA_SEED, 0, 0]))[
                groups.codes
            ]
        first = self.partition(0)
        trained = np.zeros(len(groups), dtype=bool)
        trained[groups.codes[first == TRAINED]] = True
        for attempt in range(ATTEMPTS):
            folds = fold_groups(groups, self.k, trained, np.random.RandomState([DATA_SEED, seed, attempt]))
            if np.array_equal(folds == TRAINED, trained):
                return folds[groups.codes]
        return first  # so few ways to place the groups that no other partition was drawn

    def splits(self, seed: int, fold: int) -> Splits:
        """Return training and test part of one fold of one repetition, prepared by its own training rows."""
        folds = torch.from_numpy(self.partition(seed))
        if not 0 <= fold < self.k:
            raise ValueError(f"fold must be in [0, {self.k}), got {fold}; folds are count_classes from 0")
        rows = {"train": torch.nonzero(folds != fold).flatten(), "test": torch.nonzero(folds == fold).flatten()}
        if self.val is not None:
            rows["train"], rows["val"] = hold_out(self.pool, rows["train"], self.val)
        return assemble(self.pool, rows, {**self.facts, "repetition": seed, "fold": fold}, []).checked()


def check_folds(k: Any) -> None:
    """Raise ValueError where k is not an integer >= 2."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 2:
        raise ValueError(f"folds must be an integer >= 2, got {quoted(k)}; 5 is usual")
