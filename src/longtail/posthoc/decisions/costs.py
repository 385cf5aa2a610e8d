"""Costs of mistakes: a matrix from words, a file or an array, checked."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from longtail.facts.messages import quoted, visible

KEYS = ("missed", "false", "other")
MOST_BYTES = 200_000_000
WRITE = 'write it as "missed=10,false=1"'
FILE = "pass a file such as costs.csv: class names in its first row and first column, the true class by row"


def read_cost(given: Any, classes: Sequence[str] | int, positive: str | int | None = None) -> np.ndarray:
    """Return the cost matrix (C, C) float64: row i is the true class, column j what it is called.

    Args:
        given: "missed=10,false=1" for one class against the rest: `missed`, a `positive` called something else;
            `false`, anything else called positive; `other`, any other mistake, as much as `false` where it is left out
            (0 makes the rest one class). What is left out of the first two is 1. Or the path of a file of
            comma-separated values, with the names of all classes in its first row and first column, each in any order.
            Or an array (C, C) in the order of the classes, or a data frame with their names as index and columns.
        classes: names of the C classes in their order, or C.
        positive: name or index of the class that `missed` and `false` are about.

    Raises:
        ValueError: another size, a class that is unknown, missing or named twice, a number that is negative or not
            finite (being right may cost something, but nothing may cost less than 0), no cost at all but on the
            diagonal.
        OSError: the file cannot be read.
    """
    names = [str(j) for j in range(classes)] if isinstance(classes, int) else [str(c) for c in classes]
    if isinstance(given, str) and "=" in given and not Path(given).is_file():
        return check_cost(_from_words(given, names, positive), len(names), names)
    if isinstance(given, str | PathLike):
        return check_cost(_from_file(Path(given), names), len(names), names)
    if hasattr(given, "columns") and hasattr(given, "index"):
        values = check_cost(given.to_numpy(), len(names), None)
        rows, columns = ([str(name) for name in axis] for axis in (given.index, given.columns))
        return check_cost(_in_order(values.tolist(), rows, columns, names, "cost"), len(names), names)
    return check_cost(given, len(names), names)


def check_cost(cost: Any, num_classes: int, names: Sequence[str] | None = None) -> np.ndarray:
    """Return a cost matrix as float64, checked: (C, C), finite, >= 0, something > 0 off the diagonal."""
    try:
        matrix = np.array(cost, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"cost must be numbers (C, C), got {quoted(cost)}; {FILE}") from None
    if matrix.shape != (num_classes, num_classes):
        raise ValueError(
            f"cost must have one row and one column for each of the {num_classes} classes, got shape {matrix.shape}; "
            "its entry [i, j] is the cost of calling an example of class i a j"
        )
    wrong = np.argwhere(~(np.isfinite(matrix) & (matrix >= 0)))
    if len(wrong):
        i, j = (int(k) for k in wrong[0])
        where = f"[{i}, {j}]" if names is None else f"true class {quoted(names[i])}, called {quoted(names[j])}"
        why = "being right may be free, but earns nothing; add a constant to its row" if i == j else "correct it"
        raise ValueError(f"cost must be finite and >= 0, got {matrix[i, j]:g} at {where}; {why}")
    if not (matrix[~np.eye(num_classes, dtype=bool)] > 0).any():
        raise ValueError("cost must be above 0 for some mistake, got none; say what a mistake costs, as in missed=10")
    return matrix


def class_index(name: str | int, names: Sequence[str], argument: str) -> int:
    """Return the index of a class given by name or index; a name comes first, also one such as "1"."""
    if isinstance(name, str) and name in names:
        return list(names).index(name)
    if isinstance(name, int | np.integer) and not isinstance(name, bool) and 0 <= name < len(names):
        return int(name)
    raise ValueError(f"{argument} must be a class, got {quoted(name)}; {_known(str(name), names)}")


def _known(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {quoted(near[0])}?"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"the classes are {', '.join(quoted(n) for n in names[:8])}{more}"


def _from_words(text: str, names: Sequence[str], positive: str | int | None) -> np.ndarray:
    found: dict[str, float] = {}
    for part in text.split(","):
        key, _, number = (piece.strip() for piece in part.partition("="))
        if key not in KEYS:
            raise ValueError(f"cost must name missed, false or other, got {quoted(part.strip())}; {WRITE}")
        if key in found:
            raise ValueError(f"cost must give {key} once, got {quoted(text)}; {WRITE}")
        found[key] = _number(number, f"{key} of cost", WRITE)
    if positive is None:
        raise ValueError(
            f"cost {quoted(text)} is about one class and needs its name; pass positive, or pass a matrix of all costs"
        )
    k, false = class_index(positive, names, "positive"), found.get("false", 1.0)
    matrix = np.full((len(names), len(names)), found.get("other", false))
    matrix[:, k], matrix[k, :] = false, found.get("missed", 1.0)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _number(text: str, what: str, way_out: str) -> float:
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{what} must be a number >= 0, got {quoted(text)}; {way_out}")
    return value


def _from_file(path: Path, names: Sequence[str]) -> np.ndarray:
    shown = visible(str(path), 200)
    if not path.is_file():
        raise ValueError(f'cost must be a file of costs or text such as "missed=10,false=1", got {shown}; {FILE}')
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{shown} must have at most {MOST_BYTES:,} bytes; {FILE}")
    try:
        lines = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{shown} must be comma-separated text in UTF-8; {FILE}") from None
    table = [[cell.strip() for cell in cells] for cells in lines if any(cell.strip() for cell in cells)]
    if len(table) < 2 or len(table[0]) < 2:
        raise ValueError(f"{shown} must have class names and costs, separated by commas; {FILE}")
    columns, rows = table[0][1:], [cells[0] for cells in table[1:]]
    for cells in table[1:]:
        if len(cells) != len(columns) + 1:
            raise ValueError(
                f"{shown} must have {len(columns)} costs in every row, got {len(cells) - 1} for {quoted(cells[0])}; "
                "complete the row"
            )
    values = [
        [
            _number(cell, f"{shown}: cost of {quoted(row)} called {quoted(column)}", "correct it")
            for column, cell in zip(columns, cells[1:], strict=True)
        ]
        for row, cells in zip(rows, table[1:], strict=True)
    ]
    return _in_order(values, rows, columns, names, shown)


def _in_order(
    values: list[list[float]], rows: list[str], columns: list[str], names: Sequence[str], what: str
) -> np.ndarray:
    """Return the matrix in the order of the classes; each of them must be in both headings, once."""
    for where, heading in (("row", rows), ("column", columns)):
        for name in heading:
            if name not in names:
                raise ValueError(f"{what} must name known classes, got a {where} {quoted(name)}; {_known(name, names)}")
        if twice := next((name for name in heading if heading.count(name) > 1), None):
            raise ValueError(f"{what} must name a class once, got two {where}s {quoted(twice)}; remove one")
        if missing := [name for name in names if name not in heading]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ValueError(
                f"{what} must have a {where} for every class, got none for "
                f"{', '.join(quoted(name) for name in missing[:3])}{more}; add what it costs"
            )
    at, to = ([heading.index(name) for name in names] for heading in (rows, columns))
    return np.asarray(values, dtype=np.float64)[np.ix_(at, to)]
