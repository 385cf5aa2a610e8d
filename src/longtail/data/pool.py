"""All rows of a data set as they were read: not yet split, nothing fitted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.label_kinds import CANDIDATES, known_classes, unlabeled
from longtail.data.mapped import MappedExamples
from longtail.data.origin import Origin
from longtail.data.prepare.preparation import Preparation
from longtail.data.read.tables.table import Table
from longtail.data.read.times import Times
from longtail.data.rows import Examples, LabelledRows
from longtail.facts import checks

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Pool(LabelledRows):
    """N rows in one order, with labels, declared parts, groups and weights, before they are split.

    Args:
        name: of the data, in tables and folders.
        rows: examples in memory, examples of a map-style data set, or a table whose columns are not prepared yet.
        targets: (N,) int64 in [0, C), or candidate sets (N, C) bool.
        classes: the C class names.
        parts: (N,) of "train", "val", "test" where the data declare a split.
        groups: (N,) int64 codes; rows of one group are never separated.
        sample_weight: (N,) float32 >= 0; a row of weight k counts as k rows.
        preparation: turns new rows into inputs, where nothing has to be fitted; a table's is fitted later.
        facts: how the data were made; they belong to the identity of what is trained on them.
        notes: sentences for the reader of a table.
        ids: the rows' own names (relative paths of images), for messages.
        origin: what the rows were read from, where that is known.
        index: (N,) int64, which rows of `origin` these are; None means all of them.
        unlabeled: further training rows, whose labels are not known; a pool with targets (M, 0) and the same origin.
        truth: (N,) int64 clean labels, where the targets were made from them.
        times: of the rows, where training rows are to be older than those held out.

    Raises:
        ValueError: parts, groups or weights of another length, a part of another name, a declared split without
            training rows, rows without labels that are declared to be for testing or validation.
    """

    name: str
    rows: Examples | MappedExamples | Table
    targets: Tensor
    classes: tuple[str, ...]
    parts: np.ndarray | None = None
    groups: np.ndarray | None = None
    sample_weight: Tensor | None = None
    preparation: Preparation | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    origin: Origin | None = None
    index: Tensor | None = None
    unlabeled: Pool | None = None
    truth: Tensor | None = None
    times: Times | None = None

    def __post_init__(self) -> None:
        for name in ("rows", "parts", "groups", "sample_weight", "ids", "index", "truth"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.targets):
                raise ValueError(f"{name} must have one entry per row, got {len(value)} for {len(self.targets)} rows")
        if self.times is not None:
            self._check_times(self.times)
        if self.sample_weight is not None:
            checks.sample_weight(self.sample_weight)
        if self.parts is not None:
            self._check_parts(self.parts)

    def _check_times(self, times: Times) -> None:
        if len(times.values) != len(self.targets):
            raise ValueError(f"times must have one entry per row, got {len(times.values)} for {len(self.targets)} rows")
        if self.parts is not None:
            raise ValueError(
                "time (--time) divides the rows, and these data declare their parts already; leave out time, or the "
                "split that is declared"
            )
        if self.kind == CANDIDATES:
            raise ValueError("time (--time) needs one label a row, got candidates; leave one of them out")

    def _check_parts(self, parts: np.ndarray) -> None:
        names = {str(part) for part in np.unique(parts)}
        if odd := sorted(names - set(PARTS)):
            raise ValueError(f"a declared split must name {', '.join(PARTS)}, got {odd[0]!r}; rename it")
        if "train" not in names:
            raise ValueError(f"a declared split must have training rows, got only {', '.join(sorted(names))}")

    @property
    def known(self) -> Tensor:
        """(N,) int64, the class of every row of which it is known, which can be tested; -1 of others."""
        return known_classes(self.targets, len(self.classes))

    def source(self, rows: Tensor) -> Tensor:
        """Return the rows of `origin` that these rows are."""
        return rows if self.index is None else self.index[rows]

    def take(self, rows: Tensor) -> Pool:
        """Return these rows, in their order."""
        index = rows.numpy()
        return replace(
            self,
            rows=self.rows.take(rows),
            targets=self.targets[rows],
            parts=None if self.parts is None else self.parts[index],
            groups=None if self.groups is None else self.groups[index],
            sample_weight=None if self.sample_weight is None else self.sample_weight[rows],
            ids=None if self.ids is None else tuple(self.ids[i] for i in index.tolist()),
            index=self.source(rows),
            truth=None if self.truth is None else self.truth[rows],
            times=None if self.times is None else self.times.take(index),
        )

    def with_targets(self, targets: Tensor) -> Pool:
        """Return the same rows with other labels."""
        rows = self.rows if isinstance(self.rows, Table) else replace(self.rows, targets=targets)
        return replace(self, rows=rows, targets=targets)


def labelled(pool: Pool, missing: np.ndarray) -> Pool:
    """Return the labelled rows of a pool, with the others as its rows without labels.

    Args:
        pool: all rows as they were read; the targets of missing labels are not used.
        missing: (N,) bool, the rows without a label.

    Raises:
        ValueError: such a row is declared to be for testing or validation.
    """
    if not missing.any():
        return pool
    if pool.parts is not None and (odd := missing & (pool.parts != "train")).any():
        raise ValueError(
            f"rows without a label must be training rows, got {int(odd.sum())} that are declared {pool.parts[odd][0]}; "
            "label these rows or take them out"
        )
    kept = pool.take(torch.from_numpy(np.flatnonzero(~missing)))
    rest = replace(pool, parts=None).take(torch.from_numpy(np.flatnonzero(missing)))
    rest = rest.with_targets(unlabeled(len(rest)))
    note = f"{len(rest)} of {len(pool)} rows have no label; they are training rows of methods that learn from such"
    return replace(kept.with_targets(kept.targets), unlabeled=rest, notes=(*kept.notes, note))
