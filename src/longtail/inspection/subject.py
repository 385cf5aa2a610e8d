"""What an inspection looks at, gathered once from a pool and its splits, or from the splits alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.data import Splits
from longtail.data.pool import Pool
from longtail.data.read.tables.table import Table
from longtail.data.rows import Examples
from longtail.data.splits import Part
from longtail.inspection.columns import Column, of_features, of_table
from longtail.inspection.duplicates import Contents, Ids
from longtail.inspection.identifiers import GLANCE, NAMES, identifying, spaced, worth_reading


@dataclass(frozen=True)
class Subject:
    """N rows of data and the M rows of their parts.

    Args:
        kind: "table", "images" or "features".
        targets, ids, names: (N,) class indices, numbers of contents, names to show.
        classes: the C class names.
        columns: of tables and features; None for images, and where rows are read from a data set.
        flagged: what `identifying` says of them; contents are numbered without those that count or name rows.
        declared: whether the data declare what is tested; the M rows are then the N rows.
        foldable: whether `compare` would take these data with --folds.
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
    flagged: list[dict[str, Any]]
    declared: bool
    foldable: bool
    parts: NDArray[Any]
    part_ids: Ids
    groups: Ids | None
    skipped: Sequence[str]
    notes: tuple[str, ...]


def of_pool(pool: Pool, splits: Splits) -> Subject:
    """All rows of a pool; parts are the declared ones, else those of the splits."""
    contents = Contents()
    rows = pool.rows
    columns, flagged = columns_of(pool, splits.preparation)
    if isinstance(rows, Table):
        assert columns is not None
        kind, ids = "table", contents.columns(columns)
        contents = Contents()  # the parts hold prepared rows, whose numbers are others
    else:
        kind, ids = _kind(rows), contents.examples(rows, _places(columns))
    declared = pool.parts is not None and bool((pool.parts == "test").any())
    if declared:
        parts, part_ids = np.asarray(pool.parts), ids
    else:
        prepared = getattr(splits.preparation, "names", None) if isinstance(rows, Table) else None
        parts, part_ids = _parts(splits, contents, _places(columns, prepared))
    skipped = pool.facts.get("skipped", ())
    return Subject(
        kind=kind,
        targets=pool.targets.cpu().numpy(),
        ids=ids,
        names=pool.ids or [f"row {i}" for i in range(len(pool))],
        classes=pool.classes,
        columns=columns,
        flagged=flagged,
        declared=declared,
        foldable=(pool.parts is None or bool((pool.parts == "train").all())) and "ratio" not in splits.facts,
        parts=parts,
        part_ids=part_ids,
        groups=pool.groups,
        skipped=[str(name) for name in skipped],
        notes=(*pool.notes, *splits.notes),
    )


def of_splits(splits: Splits) -> Subject:
    """The rows of the parts, training first; where they come from and who declared the split is not known."""
    held = _labelled_parts(splits)
    targets = np.concatenate([part.targets.cpu().numpy() for _, part in held])
    first = np.arange(len(splits.train))
    columns, flagged = _flagged(_features([part for _, part in held]), targets, first)
    parts, ids = _parts(splits, Contents(), _places(columns))
    return Subject(
        kind=_kind(splits.train),
        targets=targets,
        ids=ids,
        names=[f"{name} row {i}" for name, part in held for i in range(len(part))],
        classes=splits.classes,
        columns=columns,
        flagged=flagged,
        declared=False,
        foldable=False,
        parts=parts,
        part_ids=ids,
        groups=None,
        skipped=(),
        notes=splits.notes,
    )


def columns_of(pool: Pool, preparation: object) -> tuple[list[Column] | None, list[dict[str, Any]]]:
    """The columns of a pool's rows, None where there are none to look at, and what `identifying` says of them."""
    rows = pool.rows
    found = of_table(rows.frame, preparation) if isinstance(rows, Table) else _features([rows])
    return _flagged(found, pool.targets.cpu().numpy(), _trained(pool))


def flagged_of(pool: Pool) -> list[dict[str, Any]]:
    """What `identifying` says of a pool's columns; of a table only those are read whole that may be flagged."""
    rows, trained = pool.rows, _trained(pool)
    if not isinstance(rows, Table):
        return columns_of(pool, None)[1]
    frame = rows.frame if trained is None else rows.frame.iloc[trained]
    first, some = of_table(frame.iloc[:GLANCE], None), of_table(frame.iloc[spaced(len(frame), GLANCE)], None)
    read = [j for j, (one, other) in enumerate(zip(first, some, strict=True)) if worth_reading(one, other)]
    return _flagged(of_table(rows.frame.iloc[:, read], None), pool.targets.cpu().numpy(), trained)[1]


def _trained(pool: Pool) -> NDArray[np.int64] | None:
    """The training rows where parts are declared, since the file of each part may count its rows anew."""
    return None if pool.parts is None else np.flatnonzero(pool.parts == "train")


def _flagged(
    columns: list[Column] | None, targets: NDArray[np.int64], rows: NDArray[np.int64] | None
) -> tuple[list[Column] | None, list[dict[str, Any]]]:
    """The columns with those marked that count or name these rows, and what is said of them."""
    if columns is None:
        return None, []
    looked = columns if rows is None else [replace(c, values=c.values[rows]) for c in columns]
    found = identifying(looked, targets if rows is None else targets[rows])
    names = {one["name"] for one in found if one["kind"] in NAMES}
    return [replace(c, identifies=c.identifies or c.name in names) for c in columns], found


def _places(columns: list[Column] | None, names: Sequence[str] | None = None) -> list[int]:
    """Where the columns that name rows stand among the prepared ones (by default among themselves)."""
    naming = {c.name for c in columns or () if c.identifies}
    places = [j for j, name in enumerate(names or [c.name for c in columns or ()]) if name in naming]
    return places if len(places) < len(names or columns or ()) else []  # nothing else is there to compare


def _labelled_parts(splits: Splits) -> list[tuple[str, Part]]:
    named = (("train", splits.train), ("val", splits.val), ("test", splits.test))
    return [(name, part) for name, part in named if part is not None]


def _parts(splits: Splits, contents: Contents, without: Sequence[int]) -> tuple[NDArray[Any], Ids]:
    held = _labelled_parts(splits)
    parts = np.repeat([name for name, _ in held], [len(part) for _, part in held])
    return parts, np.concatenate([contents.examples(part, without) for _, part in held])


def _kind(rows: Part) -> str:
    return "features" if len(rows.input_shape) == 1 else "images"


def _features(parts: Sequence[Part]) -> list[Column] | None:
    arrays = [part.inputs.cpu().numpy() for part in parts if isinstance(part, Examples) and part.inputs.ndim == 2]
    return of_features(np.concatenate(arrays)) if len(arrays) == len(parts) else None
