"""What an inspection looks at, gathered once from a pool and its splits, or from the splits alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.comparison.inspection.columns import Column, of_features, of_table
from longtail.comparison.inspection.content import Contents, Ids
from longtail.data import Splits
from longtail.data.examples import Examples
from longtail.data.pool import Pool
from longtail.data.splits import Part
from longtail.data.tables.table import Table


@dataclass(frozen=True)
class View:
    """N rows of data and the M rows of their parts.

    Args:
        kind: "table", "images" or "features".
        targets, ids, names: (N,) class indices, numbers of contents, names to show.
        classes: the C class names.
        columns: of tables and features; None for images, and where rows are read from a data set.
        declared: whether the data declare what is tested; the M rows are then the N rows.
        parts, part_ids: (M,) the part of each split row, and the number of its content among the M.
        groups: (N,) codes, or None.
        skipped: names of the files that could not be read.
        notes: sentences that the readers left.
    """

    kind: str
    targets: NDArray[np.int64]
    ids: Ids
    names: Sequence[str]
    classes: tuple[str, ...]
    columns: list[Column] | None
    declared: bool
    parts: NDArray[Any]
    part_ids: Ids
    groups: Ids | None
    skipped: Sequence[str]
    notes: tuple[str, ...]


def of_pool(pool: Pool, splits: Splits) -> View:
    """All rows of a pool; parts are the declared ones, else those of the splits."""
    contents = Contents()
    rows = pool.rows
    columns: list[Column] | None
    if isinstance(rows, Table):
        kind, columns = "table", (read := of_table(rows.frame, splits.preparation))
        ids = contents.columns(read)
        contents = Contents()  # the parts hold prepared rows, whose numbers are others
    else:
        kind, columns = _kind(rows), _features([rows])
        ids = contents.examples(rows)
    declared = pool.parts is not None and bool((pool.parts == "test").any())
    parts, part_ids = (np.asarray(pool.parts), ids) if declared else _parts(splits, contents)
    skipped = pool.facts.get("skipped", ())
    return View(
        kind=kind,
        targets=pool.targets.cpu().numpy(),
        ids=ids,
        names=pool.ids or [f"row {i}" for i in range(len(pool))],
        classes=pool.classes,
        columns=columns,
        declared=declared,
        parts=parts,
        part_ids=part_ids,
        groups=pool.groups,
        skipped=[str(name) for name in skipped],
        notes=(*pool.notes, *splits.notes),
    )


def of_splits(splits: Splits) -> View:
    """The rows of the parts, training first; where they come from and who declared the split is not known."""
    held = _held(splits)
    parts, ids = _parts(splits, Contents())
    return View(
        kind=_kind(splits.train),
        targets=np.concatenate([part.targets.cpu().numpy() for _, part in held]),
        ids=ids,
        names=[f"{name} row {i}" for name, part in held for i in range(len(part))],
        classes=splits.classes,
        columns=_features([part for _, part in held]),
        declared=False,
        parts=parts,
        part_ids=ids,
        groups=None,
        skipped=(),
        notes=splits.notes,
    )


def _held(splits: Splits) -> list[tuple[str, Part]]:
    named = (("train", splits.train), ("val", splits.val), ("test", splits.test))
    return [(name, part) for name, part in named if part is not None]


def _parts(splits: Splits, contents: Contents) -> tuple[NDArray[Any], Ids]:
    held = _held(splits)
    parts = np.repeat([name for name, _ in held], [len(part) for _, part in held])
    return parts, np.concatenate([contents.examples(part) for _, part in held])


def _kind(rows: Part) -> str:
    return "features" if len(rows.input_shape) == 1 else "images"


def _features(parts: Sequence[Part]) -> list[Column] | None:
    arrays = [part.inputs.cpu().numpy() for part in parts if isinstance(part, Examples) and part.inputs.ndim == 2]
    return of_features(np.concatenate(arrays)) if len(arrays) == len(parts) else None
