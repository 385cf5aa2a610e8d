"""Find columns that number or identify rows, or follow their order: useless on new rows, but predictive on these.

A column is flagged as
- *counter*: numbers with a constant step in the order of the rows, or every whole number of a range once;
- *identifier*: whole numbers of which at least 90 % are distinct, with further evidence. Of N measurements in a range
  of R whole numbers about N^2 / 2R pairs are equal by chance; identifiers are assigned so that none are. A column is
  flagged where at least 10 such pairs are expected and at most a tenth of them occur, where its name says so (id,
  number, key, ...), and where it is the first column of a file without header;
- *text* of which at least 90 % are distinct;
- *order*: values that rise or fall with the rows (rank correlation of at least 0.95, within the classes too) where the
  rows are sorted by class, so that their position predicts it (mean recall of at least 0.8, as in `leakage`).

Measurements are not flagged for having many values, nor times for being in order where the classes are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.data.prepare.columns import IDENTIFIERS as MIN_ROWS
from longtail.inspection import leakage
from longtail.inspection.columns import Column

DISTINCT = 0.9
EXPECTED_PAIRS = 10
SORTED_RECALL = 0.8
IN_ORDER = 0.95
SCREENING_ROWS = 500
"""Rows that suffice to see that a column neither follows nor identifies them."""
SCREENING_DISTINCT = 0.8
"""Share of distinct values that an identifier has among these at least."""

NAMES = ("counter", "identifier")
"""Kinds that the search for duplicates ignores; times may be measurements, and text may be all that a row has."""

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
"""Words that mark an identifier as the last word only: a customer number, but not a number of customers."""


def identifier_columns(columns: Sequence[Column], targets: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the flagged columns: `name`, `kind`, `sentence`, `balanced_accuracy`.

    The last is the mean recall of the column alone on held-out rows, None where there are too few rows. Text that
    differs in every row is not flagged: it is not trained on anyway, or its words are what counts.
    """
    flagged = []
    sample = leakage.stratified_halves(targets, leakage.MAX_ROWS)
    position = Column("row", np.arange(len(targets), dtype=np.float64), True)
    by_class = sample is not None and leakage.mean_recall(position, targets, *sample) >= SORTED_RECALL
    for column in columns:
        if column.identifies or column.prose or len(column.values) < MIN_ROWS:
            continue
        kind, sentence = _numbering(column) or (_ordering(column, targets) if by_class else None) or ("", "")
        if kind:
            recall = None if sample is None else leakage.mean_recall(column, targets, *sample)
            sentence += _leakage(recall, by_class and _in_order(column), "," * (", as " in sentence))
            flagged.append({"name": column.name, "kind": kind, "balanced_accuracy": recall, "sentence": sentence})
    return flagged


def _leakage(recall: float | None, in_order: bool, comma: str) -> str:
    if recall is None or recall < SORTED_RECALL:
        return ""
    why = ", since the rows are sorted by class" if in_order else ""
    return f"{comma} and predicts the class ({100 * recall:.1f} % mean recall on held-out rows){why}"


def _numbering(column: Column) -> tuple[str, str] | None:
    """Return kind and sentence of a column that numbers or identifies the rows, whatever their classes."""
    values = column.values
    if not _may_identify(column):
        return None
    known = _not_missing(values) if column.ordered else values[values >= 0]
    if len(known) < MIN_ROWS:
        return None
    if not column.ordered:
        share = len(np.unique(known)) / len(known)
        return ("text", f"is text that differs in {_percent(share)} of the rows") if share >= DISTINCT else None
    if len(known) == len(values) and (first := _constant_step(values)):
        return "counter", f"numbers the rows ({first}, ...)"
    if not _whole(known):
        return None
    return _whole_numbers(column.name, known.astype(np.float64))


def _may_identify(column: Column) -> bool:
    """Whether the column may number or identify the rows, judged by the first of them."""
    few = column.values[:SCREENING_ROWS]
    known = _not_missing(few) if column.ordered else few[few >= 0]
    if column.ordered and not _whole(known):
        return bool(_constant_step(few))
    return len(np.unique(known)) >= SCREENING_DISTINCT * len(known)


def may_be_flagged(first: Column, spread: Column) -> bool:
    """Whether a column may be flagged, judged by its first `SCREENING_ROWS` rows and by as many spread over all."""
    return _may_identify(first) or (spread.ordered and abs(_rank_correlation(spread.values)) >= IN_ORDER)


def _whole_numbers(name: str, known: NDArray[np.float64]) -> tuple[str, str] | None:
    distinct = np.unique(known)
    share, span = len(distinct) / len(known), float(distinct[-1] - distinct[0]) + 1
    if len(distinct) == span == len(known):
        return (
            "counter",
            f"holds every whole number from {distinct[0]:.0f} to {distinct[-1]:.0f} once, as row numbers do",
        )
    expected, pairs = len(known) ** 2 / (2 * span), len(known) - len(distinct)
    named = _is_identifier_name(name) or (name == FIRST_UNNAMED and share == 1)
    if share < DISTINCT or not (named or (expected >= EXPECTED_PAIRS and pairs <= expected / 10)):
        return None
    return "identifier", f"holds whole numbers that differ in {_percent(share)} of the rows, as identifiers do"


def _is_identifier_name(name: str) -> bool:
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    return bool(NAMING.intersection(words)) or (bool(words) and words[-1] in NUMBERING)


def _constant_step(values: NDArray[Any]) -> str:
    """Return the first three of numbers with a constant step, else ""."""
    tolerance = 4 * float(np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps)
    exact = values.astype(np.float64)
    if len(exact) < 3 or not np.isfinite(exact).all():
        return ""
    step = (exact[-1] - exact[0]) / (len(exact) - 1)
    tolerance *= float(np.abs(exact).max())
    if not tolerance < abs(step) / 4 or bool(
        (np.abs(exact - exact[0] - step * np.arange(len(exact))) > tolerance).any()
    ):
        return ""
    return ", ".join(f"{value:.9g}" for value in values[:3].tolist())


def _ordering(column: Column, targets: NDArray[np.int64]) -> tuple[str, str] | None:
    if not column.ordered or not _in_order(column) or not _in_order_within(column, targets):
        return None
    return "order", "rises with the rows" if _rank_correlation(column.values) > 0 else "falls with the rows"


def _in_order(column: Column) -> bool:
    """Whether the values rise or fall with the rows."""
    if not column.ordered:
        return False
    few = evenly_spaced(len(column.values), SCREENING_ROWS)
    if abs(_rank_correlation(column.values[few])) < IN_ORDER:
        return False
    return abs(_rank_correlation(column.values[evenly_spaced(len(column.values), leakage.MAX_ROWS)])) >= IN_ORDER


def _in_order_within(column: Column, targets: NDArray[np.int64]) -> bool:
    """Whether they do so within the classes, too; a measurement that differs by class does not."""
    rows = evenly_spaced(len(targets), leakage.MAX_ROWS)
    by_class = [rows[targets[rows] == j] for j in np.unique(targets[rows])]
    by_class = [inside for inside in by_class if len(inside) >= leakage.MIN_CLASS_ROWS]
    total = sum(map(len, by_class))
    return total > 0 and sum(len(r) * abs(_rank_correlation(column.values[r])) for r in by_class) / total >= IN_ORDER


def _rank_correlation(values: NDArray[Any]) -> float:
    """Return Spearman's correlation of values with their position; 0 for one value."""
    known = _not_missing(values)
    if len(known) < max(2, len(values) / 2):
        return 0.0
    _, inverse, sizes = np.unique(known, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[inverse.ravel()]  # the mean rank of ties
    if len(sizes) < 2:
        return 0.0
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])


def evenly_spaced(count: int, max_rows: int) -> NDArray[np.int64]:
    """Return rows (M,), M <= max_rows, spread evenly over all."""
    return np.unique(np.linspace(0, count - 1, min(count, max_rows)).astype(np.int64))


def _not_missing(values: NDArray[Any]) -> NDArray[Any]:
    known: NDArray[Any] = values[~np.isnan(values)]
    return known


def _whole(values: NDArray[Any]) -> bool:
    return bool((values == np.floor(values)).all())


def _percent(share: float) -> str:
    return "100 %" if share == 1 else f"{min(100 * share, 99.9):.3g} %"
