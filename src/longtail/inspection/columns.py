"""The columns of a table or of features as plain arrays, and which of them are constant.

A column is *constant* where one value (missing counts as a value) fills at least 99.9 % of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.data.prepare import columns as column_types
from longtail.data.prepare.table import TablePreparation
from longtail.data.read.tables import cells

CONSTANT = 0.999
ORDERED = ("number", "boolean", "date")


@dataclass(frozen=True)
class Column:
    """N values: ordered numbers (float, NaN where missing), or category codes (int64, -1 where missing).

    `identifies`: the column identifies the row and is ignored in the search for duplicates. That is text that differs
    in every row, which is not trained on, and what `identifiers` flags as a counter or an identifier. `prose`: text
    whose words count, so that it may differ in every row.
    """

    name: str
    values: NDArray[Any]
    ordered: bool
    identifies: bool = False
    prose: bool = False

    def share(self) -> float:
        """Return the share of the rows with the most frequent value."""
        _, sizes = np.unique(self.values, return_counts=True)
        return float(sizes.max(initial=0) / max(len(self.values), 1))


def of_features(array: NDArray[Any]) -> list[Column]:
    """Return the columns of features (N, D), named "feature 0" to "feature D-1"."""
    return [Column(f"feature {j}", array[:, j], True) for j in range(array.shape[1])]


def of_table(frame: Any, preparation: object) -> list[Column]:
    """Return the columns of a table, with the types that its preparation has, or inferred from these rows."""
    known = {c.name: c for c in preparation.columns} if isinstance(preparation, TablePreparation) else {}
    columns = []
    for name in frame.columns:
        series = frame[name]
        typed = known.get(str(name)) or column_types.column(str(name), series)
        if typed.kind in ORDERED:
            columns.append(Column(typed.name, np.asarray(column_types.values(typed, series), dtype=np.float64), True))
        else:
            column = _unordered(typed.name, series, identifies=typed.kind == "identifier")
            columns.append(replace(column, prose=typed.kind == "text"))
    return columns


def _unordered(name: str, series: Any, *, identifies: bool) -> Column:
    import pandas as pd

    form, content = cells.cells(name, series)
    if form not in ("text", "category"):
        return Column(name, np.asarray(content, dtype=np.float64), True)
    codes = np.asarray(pd.factorize(content)[0], dtype=np.int64)
    return Column(name, np.where(np.asarray(content == ""), -1, codes), False, identifies)


def constant(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return near-constant columns, with the share of the rows that their value fills."""
    constants = []
    for column in columns:
        # a value in 99.9 % of all rows fills most of any few hundred of them
        few = Column(column.name, column.values[:: max(1, len(column.values) // 500)], column.ordered)
        if few.share() > 0.9 and (share := column.share()) >= CONSTANT:
            constants.append({"name": column.name, "share": share})
    return constants
