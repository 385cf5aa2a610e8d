"""Rows without labels from further files or frames, below the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from longtail.data.read.optional_packages import package
from longtail.data.read.tables.read import Reading


def below(reading: Reading, others: Reading, label: str, split: str | None, dropped: Sequence[str]) -> Reading:
    """Return a table with the rows of another one below, which are training rows of a declared split.

    Args:
        reading: the labelled table, without its label column.
        others: the rows without labels; without a header its columns are those of the table in their order.
        label: the label column, which `others` must not have.
        split, dropped: the split column and columns that are no features, which `others` need not have.

    Raises:
        ValueError: the other table has the label, lacks a column or has further ones.
    """
    rest, columns, count = others.frame, list(reading.frame.columns), len(others.frame)
    if not others.header and len(rest.columns) == len(columns):
        rest = rest.set_axis(columns, axis=1)
    _check_columns(others.name, rest, columns, label, [*dropped, split])
    rest = rest.reindex(columns=columns)
    if split is not None:
        empty = rest[split].isna() | (rest[split].astype(str) == "")
        rest = rest.assign(**{split: rest[split].astype(object).where(~empty, "train")})
    return replace(
        reading,
        frame=_concatenated(reading.frame, rest),
        parts=None if reading.parts is None else np.append(reading.parts, np.repeat("train", count)),
        notes=(*reading.notes, *others.notes),
        files=(*reading.files, *(others.files or (("unlabeled", count),))),
    )


def _check_columns(name: str, rest: Any, columns: list[str], label: str, optional: Sequence[str | None]) -> None:
    if label in rest.columns:
        raise ValueError(
            f"unlabeled (--unlabeled) must be a table without the label column {label!r}, got {name!r} with it; "
            'drop the column, or put all rows in one table and pass "same"'
        )
    missing = [c for c in columns if c not in rest.columns and c not in optional]
    extra = [c for c in rest.columns if c not in columns]
    if missing or extra:
        what = f"no column {missing[0]!r}" if missing else f"column {extra[0]!r} beside them"
        raise ValueError(
            f"unlabeled rows (--unlabeled) must have the columns of the labelled ones, got {what} in {name!r}; "
            "write the same columns"
        )


def _concatenated(first: Any, second: Any) -> Any:
    """Return one frame below the other; a column of two types keeps every value as it is."""
    pandas = package("pandas", "tables")
    mixed = [c for c in first.columns if first[c].dtype != second[c].dtype]
    declared = [c for c in mixed if isinstance(first[c].dtype, pandas.CategoricalDtype)]
    frames = [frame.astype(dict.fromkeys(mixed, object)) for frame in (first, second)]
    return pandas.concat(frames, ignore_index=True).astype(dict.fromkeys(declared, "category"))
