"""Rows without labels from further files or frames, below the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longtail.data.read.optional_packages import package
from longtail.data.read.tables.read import Reading


def join(frame: Any, reading: Reading, label: str, optional: Sequence[str]) -> Any:
    """Return the columns of a labelled table but for its label, with the rows of another table below.

    Args:
        frame: the labelled table.
        reading: the other table; without a header its columns are those of the frame in their order.
        label: the label column, which the other table must not have.
        optional: columns that the other table need not have; a declared split is "train" there.

    Raises:
        ValueError: the other table has the label, lacks a column or has further ones.
    """
    rest, columns = reading.frame, [c for c in frame.columns if c != label]
    if label in rest.columns:
        raise ValueError(
            f"unlabeled (--unlabeled) must be a table without the label column {label!r}, got {reading.name!r} with it;"
            ' drop the column, or put all rows in one table and pass "same"'
        )
    if not reading.header and len(rest.columns) == len(columns):
        rest = rest.set_axis(columns, axis=1)
    missing = [c for c in columns if c not in rest.columns and c not in optional]
    extra = [c for c in rest.columns if c not in columns]
    if missing or extra:
        what = f"no column {missing[0]!r}" if missing else f"column {extra[0]!r} beside them"
        raise ValueError(
            f"unlabeled rows (--unlabeled) must have the columns of the labelled ones, got {what} in {reading.name!r}; "
            "write the same columns"
        )
    return _concatenated(frame[columns], rest.reindex(columns=columns))


def fill(frame: Any, column: str | None, first: int, value: str) -> Any:
    """Return a frame with a column filled by `value` where it is empty, from row `first` on."""
    if column is None:
        return frame
    values = frame[column].astype(object).to_numpy(copy=True)
    values[first:] = [value if cell is None or cell != cell or cell == "" else cell for cell in values[first:]]
    return frame.assign(**{column: values})


def extended(parts: np.ndarray | None, count: int) -> np.ndarray | None:
    """Return parts by file (N,) with those of further training rows."""
    return None if parts is None else np.append(parts, np.repeat("train", count))


def _concatenated(first: Any, second: Any) -> Any:
    """Return one frame below the other; a column of two types keeps every value as it is."""
    pandas = package("pandas", "tables")
    mixed = [c for c in first.columns if first[c].dtype != second[c].dtype]
    declared = [c for c in mixed if isinstance(first[c].dtype, pandas.CategoricalDtype)]
    frames = [frame.astype(dict.fromkeys(mixed, object)) for frame in (first, second)]
    return pandas.concat(frames, ignore_index=True).astype(dict.fromkeys(declared, "category"))
