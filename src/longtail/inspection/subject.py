"""The subject of an inspection: rows, columns and parts, from a pool and its splits or from the splits alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.data import Splits
from longtail.data.label_kinds import known_classes
from longtail.data.pool import Pool
from longtail.data.read.tables.missing import Undeclared, undeclared
from longtail.data.read.tables.table import Table
from longtail.data.rows import Examples
from longtail.data.splits import Part
from longtail.inspection.columns import Column, of_features, of_table
from longtail.inspection.duplicates import Contents, Ids
from longtail.inspection.identifiers import (
    NAMES,
    SCREENING_ROWS,
    evenly_spaced,
    identifier_columns,
    may_be_flagged,
)


@dataclass(frozen=True)
class Subject:
    """N rows of data and the M rows of their parts.

    Args:
        kind: "table", "images" or "features".
        targets, ids, names: (N,) class indices (-1 where the class is not known), content numbers, names to show.
        classes: the C class names.
        columns: of tables and features; None for images and for the rows of a map-style data set.
        flagged: the `identifier_columns`; those that number or identify rows have no part in `ids`.
        declared: whether the data declare their test part; the M rows are then the N rows.
        foldable: whether `compare` would take these data with --folds.
        parts, part_ids: (M,) the part and the content number of each split row.
        groups: (N,) codes, or None.
        skipped: names of the files that could not be read.
        notes: notes of the readers.
        unlabeled_tested: number of tested rows whose content is among the rows without labels, too.
        undeclared: of tables, the cells that usually mean missing and were not declared to.
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
    unlabeled_tested: int = 0
    undeclared: Sequence[Undeclared] = ()


def subject_of_pool(pool: Pool, splits: Splits) -> Subject:
    """Take all rows of a pool, in their declared parts or else in those of the splits."""
    contents = Contents()
    rows = pool.rows
    columns, flagged = pool_columns(pool, splits.preparation)
    if isinstance(rows, Table):
        assert columns is not None
        kind, ids = "table", contents.columns(columns)
        contents = Contents()  # the parts have prepared rows, with numbers of their own
    else:
        kind, ids = _kind(rows), contents.examples(rows, _identifier_positions(columns))
    declared = pool.parts is not None and bool((pool.parts == "test").any())
    if declared:
        parts, part_ids = np.asarray(pool.parts), ids
    else:
        prepared = getattr(splits.preparation, "names", None) if isinstance(rows, Table) else None
        parts, part_ids = _part_ids(splits, contents, _identifier_positions(columns, prepared))
    skipped = pool.facts.get("skipped", ())
    markers = undeclared(rows.as_read()) if isinstance(rows, Table) else []
    findings = {one.sentence for one in markers}
    return Subject(
        kind=kind,
        targets=pool.known.cpu().numpy(),
        ids=ids,
        names=pool.ids or [f"row {i}" for i in range(len(pool))],
        classes=pool.classes,
        columns=columns,
        flagged=flagged,
        declared=declared,
        foldable=(pool.parts is None or bool((pool.parts == "train").all()))
        and pool.times is None
        and "ratio" not in splits.facts,
        parts=parts,
        part_ids=part_ids,
        groups=pool.groups,
        skipped=[str(name) for name in skipped],
        notes=tuple(note for note in (*pool.notes, *splits.notes) if note not in findings),
        unlabeled_tested=_unlabeled_tested(splits),
        undeclared=markers,
    )


def subject_of_splits(splits: Splits) -> Subject:
    """Take the rows of the parts, training first; their source, and whether the split was declared, is unknown."""
    labelled = _labelled_parts(splits)
    targets = np.concatenate([known_classes(part.targets, len(splits.classes)).cpu().numpy() for _, part in labelled])
    first = np.arange(len(splits.train))
    columns, flagged = _flagged(_features([part for _, part in labelled]), targets, first)
    parts, ids = _part_ids(splits, Contents(), _identifier_positions(columns))
    return Subject(
        kind=_kind(splits.train),
        targets=targets,
        ids=ids,
        names=[f"{name} row {i}" for name, part in labelled for i in range(len(part))],
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
        unlabeled_tested=_unlabeled_tested(splits),
    )


def pool_columns(pool: Pool, preparation: object) -> tuple[list[Column] | None, list[dict[str, Any]]]:
    """Return the columns of a pool's rows, None where it has none, and the flagged ones among them."""
    rows = pool.rows
    columns = of_table(rows.frame, preparation) if isinstance(rows, Table) else _features([rows])
    return _flagged(columns, pool.known.cpu().numpy(), _training_rows(pool))


def flagged_columns(pool: Pool) -> list[dict[str, Any]]:
    """Return the flagged columns of a pool; in a table only columns that may be flagged are read to the end."""
    rows, training = pool.rows, _training_rows(pool)
    if not isinstance(rows, Table):
        return pool_columns(pool, None)[1]
    frame = rows.frame if training is None else rows.frame.iloc[training]
    first = of_table(frame.iloc[:SCREENING_ROWS], None)
    spread = of_table(frame.iloc[evenly_spaced(len(frame), SCREENING_ROWS)], None)
    candidates = [j for j, screened in enumerate(zip(first, spread, strict=True)) if may_be_flagged(*screened)]
    return _flagged(of_table(rows.frame.iloc[:, candidates], None), pool.known.cpu().numpy(), training)[1]


def _training_rows(pool: Pool) -> NDArray[np.int64] | None:
    """Return the training rows of declared parts, as the file of each part may number its rows anew; else None."""
    return None if pool.parts is None else np.flatnonzero(pool.parts == "train")


def _flagged(
    columns: list[Column] | None, targets: NDArray[np.int64], rows: NDArray[np.int64] | None
) -> tuple[list[Column] | None, list[dict[str, Any]]]:
    """Return the columns, with those marked that number or identify these rows, and the flagged ones."""
    if columns is None:
        return None, []
    if bool((targets < 0).any()):
        rows = np.flatnonzero(targets >= 0) if rows is None else rows[targets[rows] >= 0]
    selected = columns if rows is None else [replace(c, values=c.values[rows]) for c in columns]
    flagged = identifier_columns(selected, targets if rows is None else targets[rows])
    names = {column["name"] for column in flagged if column["kind"] in NAMES}
    return [replace(c, identifies=c.identifies or c.name in names) for c in columns], flagged


def _identifier_positions(columns: list[Column] | None, names: Sequence[str] | None = None) -> list[int]:
    """Return the positions of columns that identify rows among the prepared `names` (by default all columns)."""
    names = names or [c.name for c in columns or ()]
    identifiers = {c.name for c in columns or () if c.identifies}
    positions = [j for j, name in enumerate(names) if name in identifiers]
    return positions if len(positions) < len(names) else []  # without these there would be no content


def _labelled_parts(splits: Splits) -> list[tuple[str, Part]]:
    named = (("train", splits.train), ("val", splits.val), ("test", splits.test))
    return [(name, part) for name, part in named if part is not None]


def _part_ids(splits: Splits, contents: Contents, without: Sequence[int]) -> tuple[NDArray[Any], Ids]:
    labelled = _labelled_parts(splits)
    parts = np.repeat([name for name, _ in labelled], [len(part) for _, part in labelled])
    return parts, np.concatenate([contents.examples(part, without) for _, part in labelled])


def _unlabeled_tested(splits: Splits) -> int:
    """Return the number of test rows that equal a row without labels, as both are prepared."""
    if splits.unlabeled is None:
        return 0
    contents = Contents()
    return int(np.isin(contents.examples(splits.test), contents.examples(splits.unlabeled)).sum())


def _kind(rows: Part) -> str:
    return "features" if len(rows.input_shape) == 1 else "images"


def _features(parts: Sequence[Part]) -> list[Column] | None:
    arrays = [part.inputs.cpu().numpy() for part in parts if isinstance(part, Examples) and part.inputs.ndim == 2]
    return of_features(np.concatenate(arrays)) if len(arrays) == len(parts) else None
