"""Repeated cross-validation: for every seed each row is tested once, by a model that did not train on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.label_kinds import CANDIDATES, check_classes, count_classes
from longtail.data.origin import Origin
from longtail.data.pool import Pool
from longtail.data.simulate import Simulation
from longtail.data.simulate.noisy_labels import check_trained
from longtail.data.simulate.parts import noisy_targets
from longtail.data.simulate.removed_labels import Cut
from longtail.data.split.assemble import assemble
from longtail.data.split.fold_notes import fold_notes
from longtail.data.split.grouping import TRAINED, GroupTable, Rows, fold_groups, fold_rows
from longtail.data.split.holdout import check_shares, hold_out, untestable
from longtail.data.split.limits import check_folds, check_share
from longtail.data.split.simulated import check_foldable, simulated
from longtail.data.splits import DATA_SEED, Splits

__all__ = ["Folds", "check_folds"]

ATTEMPTS = 20
"""Partitions to try for a seed, until one tests the groups that seed 0 tests."""


@dataclass(frozen=True)
class Folds:
    """A pool in k folds, drawn again for every repetition; a comparison uses it like `Splits`.

    Folds are stratified and keep groups together. Every row is tested exactly once, except those that must be in
    every training part: a class's only example, and a group that has all rows of a class (or cannot be placed without
    removing a class from training). So no training part ever lacks a class. All repetitions test the same rows.
    Of partial labels rows with one candidate are tested, and rows without labels join every training part; no training
    part has a row of a group that it tests.

    Args:
        pool: all rows, without a declared split (or all of them declared to be training rows).
        k: folds, >= 2.
        val: share of each fold's training rows withheld for validation, for methods that tune on it.
        simulation: what to hide of the labels of each fold's training rows; tested rows have their clean labels.

    Raises:
        ValueError: k below 2 or above the number of examples or groups to test, a declared split, a simulation of data
            whose labels are not all known.
    """

    pool: Pool
    k: int
    val: float | None = None
    simulation: Simulation | None = None
    _partitions: dict[int, Rows] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_folds(self.k)
        if self.val is not None:
            check_share("val (--val)", self.val)
        check_classes(self.classes)
        check_foldable(self.pool, self.simulation)
        if self.kind == CANDIDATES:
            check_shares(None, self.val)
        declared = sorted({"train"} if self.pool.parts is None else {str(p) for p in np.unique(self.pool.parts)})
        if declared != ["train"]:
            raise ValueError(
                f"folds (--folds) need data without a split of their own, got {', '.join(declared)} rows; "
                "leave out folds or the split"
            )
        tested = self.tested
        most = len(tested if self.pool.groups is None else np.unique(self.pool.groups[tested.numpy()]))
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
    def kind(self) -> str:
        """The kind of the labels that methods train on: "given" or "candidates"."""
        return self._labelled.kind

    @property
    def has_unlabeled(self) -> bool:
        """Whether training parts have rows without labels."""
        return self.pool.unlabeled is not None or len(self._labelled) < len(self.pool)

    @property
    def counts_known(self) -> bool:
        """Whether `class_counts` are counts."""
        return self._labelled.counts_known

    @property
    def class_counts(self) -> Tensor:
        """(C,) of the whole pool with labels as methods see them; a training part has about (k - 1)/k of it."""
        return self._labelled.class_counts

    @property
    def clean_counts(self) -> Tensor | None:
        """(C,) as `class_counts`, by clean labels; None where candidate sets hide them."""
        rows = self._labelled
        if rows.truth is None:
            return rows.class_counts if rows.counts_known else None
        return count_classes(rows.truth, len(self.classes), rows.sample_weight)

    @cached_property
    def _labelled(self) -> Pool:
        """The rows with labels, had the whole pool been a training part."""
        if self.simulation is None:
            return self.pool
        pool, rows = self._simulated({"train": torch.arange(len(self.pool))})
        return pool.take(rows["train"])

    def _simulated(self, rows: dict[str, Tensor]) -> tuple[Pool, dict[str, Tensor]]:
        if self.simulation is None:
            return self.pool, rows
        return simulated(self.pool, rows, rows["train"], Cut(), self.simulation, self._noisy)

    @cached_property
    def _noisy(self) -> Tensor | None:
        """(N,) labels with noise: a row has the same one in every fold that trains on it."""
        if self.simulation is None or self.simulation.noise is None:
            return None
        return noisy_targets(self.pool, self.simulation, torch.arange(len(self.pool)))

    def check_noise(self, seeds: Sequence[int]) -> None:
        """Raise ValueError where noise leaves no row of a class to train on in a fold of these repetitions."""
        for seed, fold in product(seeds if self._noisy is not None else (), range(self.k)):
            pool, rows = self._simulated(self.rows_of(seed, fold))
            check_trained(pool.targets[rows["train"]], self.classes, f"fold {fold} of seed {seed}")

    @property
    def test_counts(self) -> Tensor:
        """(C,) of the rows that are tested."""
        rows = self.tested
        weight = None if self.pool.sample_weight is None else self.pool.sample_weight[rows]
        return count_classes(self.pool.known[rows], len(self.classes), weight)

    @property
    def facts(self) -> dict[str, Any]:
        """Where the data come from, with the number of folds: a comparison's identity."""
        hidden = {} if self.simulation is None else self.simulation.facts
        return {**self.pool.facts, "folds": self.k, **({} if self.val is None else {"val": self.val}), **hidden}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the reader of a table."""
        return (*self._labelled.notes, *fold_notes(self.pool, self.k, self._eligible, self.tested))

    @cached_property
    def hash(self) -> str:
        """SHA-256 over every value of the pool, its groups, k, val and simulation."""
        digest = hashlib.sha256(f"folds {self.k} {self.val}".encode())
        if self.simulation is not None:
            digest.update(repr(self.simulation).encode())
            digest.update(b"" if self.simulation.noise is None else f"noise {self.simulation.noise}".encode())
        self.pool.rows.update_hash(digest)
        digest.update("\0".join(self.classes).encode())
        weight = None if self.pool.sample_weight is None else self.pool.sample_weight.numpy()
        codes = None if self.pool.groups is None else np.unique(self.pool.groups, return_inverse=True)[1].ravel()
        for array in (self.pool.targets.numpy(), codes, weight):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
        if (rest := self.pool.unlabeled) is not None:
            digest.update(b"unlabeled")
            rest.rows.update_hash(digest)
            digest.update(b"none" if rest.groups is None else rest.groups.tobytes())
        return digest.hexdigest()

    @cached_property
    def _eligible(self) -> Rows:
        """The rows whose class is known."""
        return np.flatnonzero(self.pool.known.numpy() >= 0)

    @cached_property
    def _groups(self) -> GroupTable:
        groups = None if self.pool.groups is None else self.pool.groups[self._eligible]
        return GroupTable.of(self.pool.known.numpy()[self._eligible], groups)

    @property
    def tested(self) -> Tensor:
        """(M,) int64 rows of the pool that are tested, ascending, the same in all repetitions."""
        return torch.from_numpy(np.flatnonzero(self.partition(0) != TRAINED))

    def partition(self, seed: int) -> Rows:
        """Return (N,) int64: the fold in which a repetition tests each row, -1 for rows that it always trains on."""
        if seed not in self._partitions:
            folds = np.full(len(self.pool), TRAINED, dtype=np.int64)
            folds[self._eligible] = self._partition(seed)
            self._partitions[seed] = folds
        return self._partitions[seed].copy()

    def _partition(self, seed: int) -> Rows:
        """Return the fold of every eligible row."""
        if self.pool.groups is None:
            labels = self.pool.known.numpy()[self._eligible]
            return fold_rows(labels, self.k, np.random.RandomState([DATA_SEED, seed, 0]))
        groups = self._groups
        if seed == 0:
            return fold_groups(groups, self.k, groups.required(), np.random.RandomState([DATA_SEED, 0, 0]))[
                groups.codes
            ]
        first = self.partition(0)[self._eligible]
        trained = np.zeros(len(groups), dtype=bool)
        trained[groups.codes[first == TRAINED]] = True
        for attempt in range(ATTEMPTS):
            folds = fold_groups(groups, self.k, trained, np.random.RandomState([DATA_SEED, seed, attempt]))
            if np.array_equal(folds == TRAINED, trained):
                return folds[groups.codes]
        return first  # so few ways to place the groups that no other partition was drawn

    def splits(self, seed: int, fold: int) -> Splits:
        """Return training and test part of one fold of one repetition, prepared by its own training rows."""
        pool, rows = self._simulated(self.rows_of(seed, fold))
        if self.val is not None:
            rows["train"], rows["val"] = hold_out(pool, rows["train"], self.val)
        return assemble(pool, rows, {**self.facts, "repetition": seed, "fold": fold}, []).checked()

    def rows_of(self, seed: int, fold: int) -> dict[str, Tensor]:
        """Return the rows of the training and the test part of one fold."""
        folds = torch.from_numpy(self.partition(seed))
        if not 0 <= fold < self.k:
            raise ValueError(f"fold must be in [0, {self.k}), got {fold}; folds are counted from 0")
        train, test = torch.nonzero(folds != fold).flatten(), torch.nonzero(folds == fold).flatten()
        if (groups := self.pool.groups) is not None:
            train = train[torch.from_numpy(~np.isin(groups[train.numpy()], groups[test.numpy()]))]
        return {"train": train, "test": test}
