"""Columns that name or count the rows, or rise with them: on new rows they teach nothing, here they may know the class.

A column is flagged as
- *counter*: numbers of one constant step in the order of the rows, or every whole number of a range once in any order;
- *identifier*: whole numbers of which at least 90 % are different, where more speaks for a name than that. Of N
  measurements in a range of R whole numbers about N^2 / 2R pairs fall together by chance; names are given out so that
  none do. Flagged is where at least 10 were due and at most a tenth of them are there, what is called a name (id,
  number, key, ...), and the first column of a file without header;
- *text* of which at least 90 % are different;
- *order*: what rises or falls with the rows (rank correlation of at least 0.95, within the classes too) where the rows
  are sorted by class, so that their place tells it (mean recall of at least 0.8, measured as in `telling`).

Measurements are not flagged for having many values, nor a time for being in order while the classes are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.data.prepare.columns import IDENTIFIERS as LEAST_ROWS
from longtail.inspection import leakage
from longtail.inspection.columns import Column

DISTINCT = 0.9
AVOIDED = 10
SORTED = 0.8
FOLLOWS = 0.95
GLANCE = 500
"""Rows that are enough to see that a column neither follows nor names them."""
GLANCED = 0.8
"""Share of different values that a name has among these at least."""

NAMES = ("counter", "identifier")
"""The kinds by which copies are not told apart; a time may be measured, and text may be all that a row has to say."""

FIRST_UNNAMED = "column1"
NAMING = {
    "id",
    "ids",
    "uid",
    "uuid",
    "guid",
    "identifier",
    "index",
    "idx",
    "key",
    "serial",
    "unnamed",
    "row",
    "rownumber",
}
NUMBERING = {"no", "nr", "num", "nbr", "number", "code"}
"""Words that end the name of a name: a customer number, but not a number of customers."""


def identifying(columns: Sequence[Column], targets: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The columns that are flagged: `name`, `kind`, a `sentence`, `balanced_accuracy`.

    The last is the mean recall of the column alone on rows held out, None where too few rows can be judged.
    Text that differs in every row is not among them: it is left out of training anyway.
    """
    found = []
    sample = leakage.sampled(targets, leakage.MOST_ROWS)
    place = Column("row", np.arange(len(targets), dtype=np.float64), True)
    by_class = sample is not None and leakage.score(place, targets, *sample) >= SORTED
    for column in columns:
        if column.identifies or len(column.values) < LEAST_ROWS:
            continue
        kind, words = _named(column) or (_risen(column, targets) if by_class else None) or ("", "")
        if kind:
            score = None if sample is None else leakage.score(column, targets, *sample)
            found.append({
                "name": column.name, "kind": kind, "balanced_accuracy": score,
                "sentence": f"{words}{_given_away(score, by_class and _in_order(column), ',' * (', as ' in words))}",
            })  # fmt: skip
    return found


def _given_away(score: float | None, in_order: bool, comma: str) -> str:
    if score is None or score < SORTED:
        return ""
    why = ", since the rows are sorted by class" if in_order else ""
    return f"{comma} and tells the class ({100 * score:.1f} % mean recall on rows held out){why}"


def _named(column: Column) -> tuple[str, str] | None:
    """What counts or names the rows, whatever their classes."""
    values = column.values
    if not _may_name(column):
        return None
    known = _there(values) if column.ordered else values[values >= 0]
    if len(known) < LEAST_ROWS:
        return None
    if not column.ordered:
        share = len(np.unique(known)) / len(known)
        return ("text", f"is text that differs in {_percent(share)} of the rows") if share >= DISTINCT else None
    if len(known) == len(values) and (first := _ramp(values)):
        return "counter", f"counts the rows ({first}, ...)"
    if not _whole(known):
        return None
    return _whole_numbers(column.name, known.astype(np.float64))


def _may_name(column: Column) -> bool:
    """Whether the first rows leave it open that the column counts or names them."""
    few = column.values[:GLANCE]
    known = _there(few) if column.ordered else few[few >= 0]
    if column.ordered and not _whole(known):
        return bool(_ramp(few))
    return len(np.unique(known)) >= GLANCED * len(known)


def worth_reading(first: Column, spaced: Column) -> bool:
    """Whether a column may be flagged, judged by its first `GLANCE` rows and by as many spread over all."""
    return _may_name(first) or (spaced.ordered and abs(_follows(spaced.values)) >= FOLLOWS)


def _whole_numbers(name: str, known: NDArray[np.float64]) -> tuple[str, str] | None:
    distinct = np.unique(known)
    share, span = len(distinct) / len(known), float(distinct[-1] - distinct[0]) + 1
    if len(distinct) == span == len(known):
        return (
            "counter",
            f"holds every whole number from {distinct[0]:.0f} to {distinct[-1]:.0f} once, as row numbers do",
        )
    by_chance, pairs = len(known) ** 2 / (2 * span), len(known) - len(distinct)
    named = _is_name(name) or (name == FIRST_UNNAMED and share == 1)
    if share < DISTINCT or not (named or (by_chance >= AVOIDED and pairs <= by_chance / 10)):
        return None
    return "identifier", f"holds whole numbers that differ in {_percent(share)} of the rows, as names of rows do"


def _is_name(name: str) -> bool:
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    return bool(NAMING.intersection(words)) or (bool(words) and words[-1] in NUMBERING)


def _ramp(values: NDArray[Any]) -> str:
    """The first three of numbers that have one constant step, else ""."""
    blur = 4 * float(np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps)
    exact = values.astype(np.float64)
    if len(exact) < 3 or not np.isfinite(exact).all():
        return ""
    step = (exact[-1] - exact[0]) / (len(exact) - 1)
    room = blur * float(np.abs(exact).max())
    if not room < abs(step) / 4 or bool((np.abs(exact - exact[0] - step * np.arange(len(exact))) > room).any()):
        return ""
    return ", ".join(f"{value:.9g}" for value in values[:3].tolist())


def _risen(column: Column, targets: NDArray[np.int64]) -> tuple[str, str] | None:
    if not column.ordered or not _in_order(column) or not _in_order_within(column, targets):
        return None
    return "order", "rises with the rows" if _follows(column.values) > 0 else "falls with the rows"


def _in_order(column: Column) -> bool:
    """Whether the values rise or fall with the rows."""
    if not column.ordered:
        return False
    few = spaced(len(column.values), GLANCE)
    if abs(_follows(column.values[few])) < FOLLOWS:
        return False
    return abs(_follows(column.values[spaced(len(column.values), leakage.MOST_ROWS)])) >= FOLLOWS


def _in_order_within(column: Column, targets: NDArray[np.int64]) -> bool:
    """Whether they do within the classes, weighed by rows; a measurement that differs by class does not."""
    rows = spaced(len(targets), leakage.MOST_ROWS)
    judged = [rows[targets[rows] == j] for j in np.unique(targets[rows])]
    judged = [inside for inside in judged if len(inside) >= leakage.LEAST_OF_CLASS]
    total = sum(map(len, judged))
    return total > 0 and sum(len(r) * abs(_follows(column.values[r])) for r in judged) / total >= FOLLOWS


def _follows(values: NDArray[Any]) -> float:
    """Spearman's correlation of values with their place; 0 for one value."""
    known = _there(values)
    if len(known) < max(2, len(values) / 2):
        return 0.0
    _, inverse, sizes = np.unique(known, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[inverse.ravel()]  # the mean rank of equal ones
    if len(sizes) < 2:
        return 0.0
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])


def spaced(count: int, most: int) -> NDArray[np.int64]:
    """Rows (M,), M <= most, spread evenly over all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _there(values: NDArray[Any]) -> NDArray[Any]:
    known: NDArray[Any] = values[~np.isnan(values)]
    return known


def _whole(values: NDArray[Any]) -> bool:
    return bool((values == np.floor(values)).all())


def _percent(share: float) -> str:
    return "100 %" if share == 1 else f"{min(100 * share, 99.9):.3g} %"
