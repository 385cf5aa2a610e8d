"""The label column of a table: which it is, its checks, class indices and names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.array_labels import check_some
from longtail.data.read.candidates import check_separator, parse_sets
from longtail.data.read.tables import cells
from longtail.data.read.tables.dialect import MADE_UP

USUAL = ("label", "target", "class", "y")
"""Columns taken for the label where none is named; a table may have one of them."""

LAST = ("last", "-1")
MEASURED = 20
"""Different numbers up to which a label may be anything; beyond, one that has a fraction makes it a measurement."""

MANY, ROWS_OF_MANY, ROWS_OF_FEW = 1000, 20, 3
"""Whole numbers are codes of classes where they recur: from MANY different ones on ROWS_OF_MANY times on average, of
fewer ROWS_OF_FEW times. The real tables of integer codes (faces, species, ImageNet-LT) have more rows of each."""

QUOTED = re.compile(r"""(?s)(['"]).*\1""")


class Labels(NamedTuple):
    """Targets (N,) int64 or (N, C) bool, the names of the C classes, and sentences on what was changed."""

    targets: Tensor
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def find(columns: Sequence[str], label: str | int | None, header: bool = True) -> tuple[str, str]:
    """The name of the label column and a note where it was not named.

    Without a header `label` may be a position from 1 on, or "last" (-1).

    Raises:
        ValueError: no such column, or none that is usually the label; the columns are listed.
    """
    if label is None:
        return _usual(columns) if header else (columns[-1], f"the last column ({columns[-1]}) is taken as the label")
    name = str(label)
    if name in columns:
        return name, ""
    if not header and name in LAST:
        return columns[-1], ""
    if not header and re.fullmatch(r"[1-9][0-9]{0,8}", name) and int(name) <= len(columns):
        return columns[int(name) - 1], ""
    raise ValueError(f"label (--label) must be a column, got {name!r}; {_suggested(name, columns, header)}")


def _usual(columns: Sequence[str]) -> tuple[str, str]:
    usual = [name for name in columns if name.lower() in USUAL]
    if len(usual) == 1:
        return usual[0], f"column {usual[0]!r} is taken as the label"
    which = ", ".join(usual or USUAL)
    why = f"several columns may be the label ({which})" if usual else f"no column is called {which}"
    raise ValueError(f"the label column must be named, since {why}; pass label= (--label): {_listed(columns)}")


def _suggested(name: str, columns: Sequence[str], header: bool) -> str:
    near = difflib.get_close_matches(name.strip().lower(), [c.strip().lower() for c in columns], n=1)
    if near:
        return f"did you mean {next(c for c in columns if c.strip().lower() == near[0])!r}? {_listed(columns)}"
    if not header and not MADE_UP.fullmatch(name):
        first = "its first line was taken as data: pass header=True (--header) if it names the columns, else"
        return f"{first} a position from 1 to {len(columns)} or last"
    return _listed(columns)


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
    return f"columns are {shown}"


def encode(name: str, series: Any, classes: Sequence[str] | None = None) -> Labels:
    """Every cell as a class name, exactly as written: "nan", "NA", "=1+1" and "<b>" are names like any other.

    A label is missing only where the cell is empty (in a frame also None and NaN). A pair of quotes that surrounds
    every name is no part of them. Classes are sorted: by value where all are numbers, else as text, unless a pandas
    categorical of strings or `classes` gives their order. A categorical, and `classes`, also say that numbers are
    codes of classes, however many there are.

    Raises:
        ValueError: labels missing, one class only, numbers that are measured rather than named, a label that is not
            among `classes`.
    """
    text = cells.texts(series)
    if len(text) == 0:
        raise ValueError("a table must have rows, got none; add examples")
    _check_missing(name, text)
    codes, values = _factorized(text)
    notes = []
    if all(len(value) > 2 and QUOTED.fullmatch(value) for value in values):
        notes.append(
            f"quotes around every value of the label column {name!r} were taken off ({values[0]} is {values[0][1:-1]})"
        )
        codes, values = _factorized(text.str.slice(1, -1))
    if classes is None and not hasattr(series.dtype, "categories"):
        _check_measured(name, codes, values)
    names = _ordered(series, values) if classes is None else tuple(str(c) for c in classes)
    if len(set(names)) < 2:
        raise ValueError(f"label column {name!r} must have at least two classes, got only {names[0]!r}; check --label")
    if len(set(names)) < len(names):
        raise ValueError(
            f"classes must be named once each, got {len(names) - len(set(names))} of them twice; remove these"
        )
    index = {value: j for j, value in enumerate(names)}
    unknown = [value for value in values if value not in index]
    if unknown:
        raise ValueError(f"labels must be among the classes, got {unknown[0]!r} in {name!r}; known are {names[:8]}")
    targets = np.array([index[value] for value in values], dtype=np.int64)[codes]
    return Labels(torch.from_numpy(targets), names, tuple(notes))


def encode_some(name: str, series: Any, classes: Sequence[str] | None = None) -> tuple[Labels, np.ndarray]:
    """Return what `encode` does for a column with empty cells, targets -1 there, and (N,) bool, which cells are empty.

    Raises:
        ValueError: no cell is empty, or all are; and as `encode`.
    """
    missing = (cells.texts(series).str.strip() == "").to_numpy()
    check_some(missing, f"label column {name!r}")
    encoded = encode(name, series[~missing], classes)
    targets = torch.full((len(series),), -1)
    targets[torch.from_numpy(~missing)] = encoded.targets
    return encoded._replace(targets=targets), missing


def encode_sets(name: str, series: Any, separator: str, classes: Sequence[str] | None = None) -> Labels:
    """Return candidate sets (N, C) bool from cells that name several classes; see `parse_sets`."""
    sets = parse_sets(cells.texts(series).tolist(), check_separator(separator), f"label column {name!r}", classes)
    return Labels(sets.targets, sets.classes, ())


def _factorized(text: Any) -> tuple[np.ndarray, list[str]]:
    import pandas

    codes, values = pandas.factorize(text)
    return codes, [str(value) for value in values]


def _check_missing(name: str, text: Any) -> None:
    missing = (text.str.strip() == "").to_numpy()
    if missing.all():
        raise ValueError(f"label column {name!r} is empty in all {len(text)} rows; name another column with --label")
    if missing.any():
        raise ValueError(
            f"label column {name!r} is empty in {int(missing.sum())} of {len(text)} rows, first in row "
            f"{int(np.argmax(missing))}; label these rows or take them out (they can be predicted later), or learn "
            'from them without labels: unlabeled="same" (--unlabeled same)'
        )


def _numbers(values: list[str]) -> np.ndarray | None:
    """All values as numbers; None where one is none."""
    import pandas

    numbers = cells.floats(pandas.Series(values, dtype=str))
    return numbers if np.isfinite(numbers).all() else None


def _check_measured(name: str, codes: np.ndarray, values: list[str]) -> None:
    numbers = _numbers(values)
    if numbers is None or len(values) <= MEASURED:
        return
    fractions = (numbers % 1 != 0).any()
    if fractions or len(codes) < len(values) * (ROWS_OF_MANY if len(values) >= MANY else ROWS_OF_FEW):
        what = "regression" if fractions else "regression, or numbers of the rows"
        raise ValueError(
            f"label column {name!r} must name classes, got {len(values):,} different numbers from {numbers.min():g} to "
            f"{numbers.max():g} in {len(codes):,} rows, which is {what}; cut them into classes (low, middle, high), "
            "name another column with --label, or write codes of classes as text (c17)"
        )


def _ordered(series: Any, values: list[str]) -> tuple[str, ...]:
    own = getattr(series.dtype, "categories", None)
    if own is not None and all(isinstance(c, str) for c in own) and set(values) <= set(own):
        return tuple(c for c in own if c in set(values))
    numbers = _numbers(values)
    if numbers is None:
        return tuple(sorted(values))
    return tuple(value for _, value in sorted(zip(numbers, values, strict=True)))
