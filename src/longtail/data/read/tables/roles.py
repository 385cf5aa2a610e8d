"""Columns that are no features: the declared split, groups that stay together, and the rows' weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.tables import cells
from longtail.data.read.tables.sources import SPLIT_NAMES


def named(role: str, name: str, columns: Sequence[str], label: str) -> str:
    """The column of a role, checked to be there and not to be the label."""
    flag = "drop" if role == "drop_columns" else role
    if name not in columns:
        shown = ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
        raise ValueError(f"{role} (--{flag}) must be a column, got {name!r}; columns are {shown}")
    if name == label:
        raise ValueError(f"{role} (--{flag}) must be another column than the label, got {name!r}; name another")
    return name


def several(columns: str | Sequence[str] | None) -> list[str]:
    """The columns to drop, each once.

    Raises:
        TypeError: neither a name nor names.
    """
    alone = isinstance(columns, str) or not isinstance(columns, Sequence)
    found: list[Any] = [] if columns is None else [columns] if alone else list(columns)
    odd = [name for name in found if not isinstance(name, str)]
    if odd:
        raise TypeError(
            f"drop_columns (--drop) must be the name of a column, or a list of names, got {odd[0]!r}; write it as text"
        )
    return list(dict.fromkeys(found))


def parts(name: str, series: Any) -> np.ndarray:
    """(N,) of "train", "val", "test".

    Written in any case; training is train; valid, validation, dev and eval are val; testing is test.

    Raises:
        ValueError: another value, or an empty cell.
    """
    text = cells.texts(series).str.strip().str.lower()
    odd = text[~text.isin(list(SPLIT_NAMES))]
    if len(odd):
        raise ValueError(
            f"split column {name!r} must hold train, val or test in every row, got {odd.iloc[0]!r} in row "
            f"{int(odd.index[0])} ({len(odd)} such rows); rename it or take the rows out"
        )
    return np.array([SPLIT_NAMES[value] for value in text], dtype="U5")


def groups(name: str, series: Any) -> np.ndarray:
    """(N,) int64: rows with the same text have the same number.

    Raises:
        ValueError: an empty cell, of which one cannot know to whom it belongs.
    """
    import pandas

    text = cells.texts(series)
    gone = (text.str.strip() == "").to_numpy()
    if gone.any():
        raise ValueError(
            f"group column {name!r} must be filled in every row, got {int(gone.sum())} empty cells, first in row "
            f"{int(np.argmax(gone))}; give each such row a group of its own, or take it out"
        )
    codes, _ = pandas.factorize(text)
    return np.asarray(codes, dtype=np.int64)


def weights(name: str, series: Any) -> Tensor:
    """(N,) float32 >= 0.

    Raises:
        ValueError: not a number, missing, negative or infinite, or nothing but zeros.
    """
    found = cells.cells(name, series)
    if found.form == "text" and cells.is_number(found.values).all():
        values = cells.numbers(found.values)
    elif found.form == "number":
        values = found.values
    else:
        bad = found.values[~cells.is_number(found.values)].iloc[0] if found.form == "text" else found.form
        raise ValueError(f"weight column {name!r} must hold numbers >= 0, got {bad!r}; correct or fill the cells")
    with np.errstate(invalid="ignore"):
        wrong = ~(np.isfinite(values) & (values >= 0) & (values <= np.finfo(np.float32).max))
    if wrong.any():
        raise ValueError(
            f"weight column {name!r} must hold finite numbers >= 0, got {values[wrong][0]:g} in row "
            f"{int(np.argmax(wrong))} ({int(wrong.sum())} such rows); correct or fill the cells"
        )
    if not values.any():
        raise ValueError(f"weight column {name!r} must not be zero everywhere, got {len(values)} zeros; leave it out")
    return torch.from_numpy(values.astype(np.float32))
