"""Labels of any kind as class indices, and the kinds that are refused: missing, mixed, measured."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from longtail.facts.messages import quoted

MISSING = ("NAType", "NaTType", "NoneType")
"""Types of pandas and Python that mean a missing value."""


def encoded(y: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes (C,), sorted, in the type they have in y, and the class indices (N,).

    Args:
        y: N strings, whole numbers or truth values: a list, an array, a column; also as (N, 1), with a warning.

    Raises:
        ValueError: a label is missing, labels are of different kinds or are measurements, or there is one class only.
    """
    if isinstance(y, list | tuple):  # NumPy would make strings of numbers beside strings
        _check_kinds(list(y))
    array = column_or_1d(y, warn=True)
    if array.dtype.kind == "O":
        values = array.tolist()
        _check_kinds(values)
        array = np.asarray(values)
    if array.dtype.kind == "f" and (missing := ~np.isfinite(array)).any():
        raise ValueError(_missing(int(np.argmax(missing)), int(missing.sum())))
    check_classification_targets(array)
    classes, indices = np.unique(array, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must have at least two classes, got one class only, {_plain(classes)[0]!r}; add examples")
    return classes, indices.astype(np.int64)


def names(classes: NDArray[Any]) -> tuple[str, ...]:
    """Return the names of classes, as a table or a file has them.

    Raises:
        ValueError: two classes have one name.
    """
    texts = tuple(str(c) for c in _plain(classes))
    if len(set(texts)) < len(texts):
        twice = next(t for t in texts if texts.count(t) > 1)
        raise ValueError(f"classes must have names of their own, got {twice!r} twice; rename one")
    return texts


def by_name(given: Any) -> Any:
    """Return {label: value} with the names of the labels; anything else as it is."""
    return {str(_item(label)): value for label, value in given.items()} if isinstance(given, dict) else given


def _check_kinds(values: list[Any]) -> None:
    gone = [row for row, value in enumerate(values) if _is_missing(value)]
    if gone:
        raise ValueError(_missing(gone[0], len(gone)))
    kinds: dict[str, Any] = {}
    for value in values:
        kinds.setdefault(_kind(value), value)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        raise ValueError(
            f"y must have labels of one kind, got {one} such as {quoted(first)} and {other} such as {quoted(second)}; "
            "convert them all, for example to strings"
        )


def _is_missing(value: Any) -> bool:
    return type(value).__name__ in MISSING or (isinstance(value, float) and value != value)


def _missing(row: int, count: int) -> str:
    many = f"{count} of them, first" if count > 1 else "one"
    return f"y must not have missing labels, got {many} in row {row} (None, NaN, inf); drop or label these rows"


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "truth values"
    if isinstance(value, str):
        return "strings"
    return "numbers" if isinstance(value, numbers.Number) else f"values of type {type(value).__name__}"


def _plain(classes: NDArray[Any]) -> list[Any]:
    return [_item(c) for c in classes]


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) and value.dtype.kind != "M" else value
