"""All rows of a data set as they were read: with labels, not yet split, nothing fitted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from longtail.data.label_kinds import count_classes
from longtail.data.mapped import MappedExamples
from longtail.data.origin import Origin
from longtail.data.prepare.preparation import Preparation
from longtail.data.read.tables.table import Table
from longtail.data.rows import Examples
from longtail.facts import checks

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Pool:
    """N rows in one order, with labels, declared parts, groups and weights, before they are split.

    Args:
        name: of the data, in tables and folders.
        rows: examples in memory, examples of a map-style data set, or a table whose columns are not prepared yet.
        targets: (N,) int64 in [0, C).
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

    Raises:
        ValueError: parts, groups or weights of another length, a part of another name, a declared split without
            training or test rows.
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

    def __post_init__(self) -> None:
        for name in ("rows", "parts", "groups", "sample_weight", "ids", "index"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.targets):
                raise ValueError(f"{name} must have one entry per row, got {len(value)} for {len(self.targets)} rows")
        if self.sample_weight is not None:
            checks.sample_weight(self.sample_weight)
        if self.parts is not None:
            self._check_parts(self.parts)

    def _check_parts(self, parts: np.ndarray) -> None:
        names = {str(part) for part in np.unique(parts)}
        if odd := sorted(names - set(PARTS)):
            raise ValueError(f"a declared split must name {', '.join(PARTS)}, got {odd[0]!r}; rename it")
        if "train" not in names:
            raise ValueError(f"a declared split must have training rows, got only {', '.join(sorted(names))}")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def class_counts(self) -> Tensor:
        """(C,) int64, or float64 sums of the rows' weights where there are any."""
        return count_classes(self.targets, len(self.classes), self.sample_weight)

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
        )
