"""Columns that are no features, of tables, metadata.csv and the hub alike: declared split, groups, sample weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.optional_packages import package
from longtail.data.read.tables import cells

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "validation": "val", "valid": "val", "dev": "val", "eval": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""How a part of a split may be called, in names of files and folders and in a split column, in any case -> our name."""


FLAGS = {"drop_columns": "drop", "text_columns": "text", "category_columns": "category"}
"""Arguments whose option is called otherwise."""


class Roles(NamedTuple):
    """What the columns of N rows say: parts (N,) of "train", "val", "test", groups (N,) int64, weights (N,) float32."""

    parts: np.ndarray | None
    groups: np.ndarray | None
    weights: Tensor | None


def read_roles(
    columns: Mapping[str, Any],
    *,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    names: Sequence[str] | None = None,
    declared: np.ndarray | None = None,
    declared_by: str = "",
) -> Roles:
    """Read the columns named by `split`, `group` and `weight`.

    Args:
        columns: name -> series or list; a frame is one.
        split, group, weight: which columns; None where there is none.
        names: of the rows, for messages; None calls them by number.
        declared: (N,) the part of every row, where something other than a column declares it.
        declared_by: what that is, for messages.

    Raises:
        ValueError: a split that is declared twice, or a cell that does not fit its role; the first one is named.
    """
    check_declared_once(split, declared, declared_by)
    return Roles(
        declared if split is None else parts(split, columns[split], names),
        None if group is None else groups(group, columns[group], names),
        None if weight is None else weights(weight, columns[weight], names),
    )


def check_declared_once(split: str | None, declared: np.ndarray | None, declared_by: str) -> None:
    """Raise ValueError where both a column and something else declare the split."""
    if split is not None and declared is not None:
        raise ValueError(f"the split must be declared once, got {declared_by} and column {split!r}; leave out --split")


def parts(column: str, values: Any, names: Sequence[str] | None = None) -> np.ndarray:
    """Return (N,) of "train", "val", "test"; SPLIT_NAMES lists the synonyms."""
    series = _series(values)
    mapped = cells.texts(series).str.strip().str.lower().map(SPLIT_NAMES)
    rule = f"split column {column!r} must hold train, val or test in every row"
    _refuse(mapped.isna().to_numpy(), series, names, rule, f"understood are {', '.join(SPLIT_NAMES)}")
    return np.array(mapped, dtype="U5")


def groups(column: str, values: Any, names: Sequence[str] | None = None) -> np.ndarray:
    """Return (N,) int64: the same number for the same text.

    Numbers go by first appearance, or by the order of the texts where rows have names: folds depend on them.
    """
    import pandas

    codes, _ = pandas.factorize(filled("group", column, values, names), sort=names is not None)
    return np.asarray(codes, dtype=np.int64)


def weights(column: str, values: Any, names: Sequence[str] | None = None) -> Tensor:
    """Return (N,) float32 >= 0."""
    series = _series(values)
    form, numbers = cells.cells(column, series)
    if form != "number":
        text = cells.texts(series)
        numbers = cells.numbers(text.where(cells.is_number(text), ""))
    with np.errstate(invalid="ignore"):
        wrong = ~(np.isfinite(numbers) & (numbers >= 0) & (numbers <= np.finfo(np.float32).max))
    rule = f"weight column {column!r} must hold finite numbers >= 0"
    _refuse(wrong, series, names, rule, "correct or fill the cells")
    if not numbers.any():
        raise ValueError(
            f"weight column {column!r} must not be zero everywhere, got {len(numbers)} zeros; leave it out"
        )
    return torch.from_numpy(numbers.astype(np.float32))


def filled(
    role: str, column: str, values: Any, names: Sequence[str] | None = None, *, unlabeled_option: bool = False
) -> Any:
    """Return the cells as a series of text, as they are written; `unlabeled_option` names a way out for labels.

    Raises:
        ValueError: an empty cell.
    """
    text = cells.texts(_series(values))
    empty = (text.str.strip() == "").to_numpy()
    way_out = "fill it or leave out the row"
    if unlabeled_option:
        way_out += ', or pass unlabeled="same" (--unlabeled same) to learn from it without a label'
    _refuse(empty, text, names, f"{role} column {column!r} must be filled in every row", way_out)
    return text


def existing_column(role: str, name: str, columns: Sequence[str], label: str | None = None) -> str:
    """Return the name of a column, checked to exist and not to be the label."""
    flag = FLAGS.get(role, role)
    if name not in columns:
        shown = ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
        raise ValueError(f"{role} (--{flag}) must be a column, got {name!r}; columns are {shown}")
    if name == label:
        raise ValueError(f"{role} (--{flag}) must be another column than the label, got {name!r}; name another")
    return name


def column_names(columns: str | Sequence[str] | None, role: str = "drop_columns") -> list[str]:
    """Return the columns of an option that takes several, each once.

    Raises:
        TypeError: neither a name nor names.
    """
    alone = isinstance(columns, str) or not isinstance(columns, Sequence)
    names: list[Any] = [] if columns is None else [columns] if alone else list(columns)
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise TypeError(
            f"{role} (--{FLAGS[role]}) must be the name of a column, or a list of names, got {odd[0]!r}; write it as "
            "text"
        )
    return list(dict.fromkeys(names))


def _series(values: Any) -> Any:
    pandas = package("pandas", "tables")
    return values if isinstance(values, pandas.Series) else pandas.Series(list(values[:]), dtype=object)


def _refuse(wrong: np.ndarray, series: Any, names: Sequence[str] | None, rule: str, way_out: str) -> None:
    """Raise ValueError where a cell is wrong, naming the first."""
    if wrong.any():
        row, count = int(np.argmax(wrong)), int(wrong.sum())
        place = f"in row {row}" if names is None else f"for {names[row]!r}"
        cell = cells.texts(series).iloc[row]
        raise ValueError(f"{rule}, got {cell!r} {place} ({count} such row{'s' * (count > 1)}); {way_out}")
