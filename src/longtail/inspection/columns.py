"""The columns of a table or of features as plain arrays, and those that hold one value only.

A column is *constant* where one value (a missing one counts) fills at least 99.9 % of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.data.prepare.columns import column, values
from longtail.data.prepare.table import TablePreparation
from longtail.data.read.tables import cells

CONSTANT = 0.999
ORDERED = ("number", "boolean", "date")


@dataclass(frozen=True)
class Column:
    """N values: numbers in their order (float, NaN where missing), or codes of categories (int64, -1 where missing).

    `identifies`: it names the row, so that rows equal but for it are copies: text that differs in every row, which is
    left out of training, and what `identifiers` takes for a name.
    """

    name: str
    values: NDArray[Any]
    ordered: bool
    identifies: bool = False

    def share(self) -> float:
        """Of the rows that hold the most frequent value."""
        _, sizes = np.unique(self.values, return_counts=True)
        return float(sizes.max(initial=0) / max(len(self.values), 1))


def of_features(array: NDArray[Any]) -> list[Column]:
    """The columns of features (N, D), called "feature 0" to "feature D-1"."""
    return [Column(f"feature {j}", array[:, j], True) for j in range(array.shape[1])]


def of_table(frame: Any, preparation: object) -> list[Column]:
    """The columns of a table, read as the preparation of its training rows reads them, or as all rows show them."""
    known = {c.name: c for c in preparation.columns} if isinstance(preparation, TablePreparation) else {}
    found = []
    for name in frame.columns:
        series = frame[name]
        kind = known.get(str(name)) or column(str(name), series)
        if kind.kind in ORDERED:
            found.append(Column(kind.name, np.asarray(values(kind, series), dtype=np.float64), True))
        else:
            found.append(_unordered(kind.name, series, identifies=kind.kind == "identifier"))
    return found


def _unordered(name: str, series: Any, *, identifies: bool) -> Column:
    import pandas as pd

    form, found = cells.cells(name, series)
    if form not in ("text", "category"):
        return Column(name, np.asarray(found, dtype=np.float64), True)
    codes = np.asarray(pd.factorize(found)[0], dtype=np.int64)
    return Column(name, np.where(np.asarray(found == ""), -1, codes), False, identifies)


def constant(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Near-constant columns and the share of the rows that their value fills."""
    found = []
    for one in columns:
        # what fills 99.9 % of all rows fills most of any few hundred of them
        few = Column(one.name, one.values[:: max(1, len(one.values) // 500)], one.ordered)
        if few.share() > 0.9 and (share := one.share()) >= CONSTANT:
            found.append({"name": one.name, "share": share})
    return found
