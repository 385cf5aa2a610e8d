"""A column of times as numbers that order the rows: numbers, dates, dates with a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from longtail.data.read.column_roles import filled
from longtail.data.read.optional_packages import package
from longtail.data.read.tables import cells

DAYS = (
    "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y",
    "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y-%m",
)  # fmt: skip
"""Days and months that are no ISO dates, each also with a time behind it."""

CLOCKS = ("", " %H:%M", " %H:%M:%S")
Values = np.ndarray


class Times(NamedTuple):
    """(N,) float64 that order the rows; `dates` says whether they are seconds since 1970 in UTC, or just numbers."""

    values: Values
    dates: bool

    def text(self, value: float) -> str:
        """One of the values as it is written: a day, a day and a time, or a number."""
        if not self.dates:
            return f"{value:.15g}"
        moment = np.datetime64(round(value * 1e6), "us")
        day = str(moment.astype("datetime64[D]"))
        return day if value % 86400 == 0 else str(moment.astype("datetime64[s]")).replace("T", " ")

    def take(self, rows: Values) -> Times:
        """The times of these rows."""
        return self._replace(values=self.values[rows])


def times(column: str, values: Any) -> Times:
    """Read a column of times: numbers, or dates in one form in all rows (ISO, `DAYS`); without a zone they are UTC.

    Raises:
        ValueError: an empty cell, infinite numbers, cells that are neither all numbers nor all dates in one form,
            days and months that may be either, one value in all rows.
    """
    form, given = cells.cells(column, values)
    if form in ("number", "date"):
        _refuse_empty(column, np.isnan(given))
        found = Times(np.asarray(given, dtype=np.float64), form == "date")
    else:
        text = filled("time", column, values).str.strip()
        _refuse_empty(column, text.isin(cells.MISSING).to_numpy())
        found = _of_text(column, text)
    if not np.isfinite(found.values).all():
        raise ValueError(f"time column {column!r} must hold finite numbers, got an infinite one; correct its cells")
    if len(found.values) and (found.values == found.values[0]).all():
        raise ValueError(
            f"time column {column!r} must order the rows, got {found.text(found.values[0])} in all "
            f"{len(found.values)} of them; name another column with --time, or leave it out"
        )
    return found


def _refuse_empty(column: str, empty: Values) -> None:
    if empty.any():
        rows = "1 such row" if empty.sum() == 1 else f"{int(empty.sum())} such rows"
        raise ValueError(
            f"time column {column!r} must be filled in every row, got none in row {int(np.argmax(empty))} ({rows}); "
            "fill it or leave out the row"
        )


def _of_text(column: str, text: Any) -> Times:
    if cells.is_number(text).all():
        return Times(cells.numbers(text), False)
    if cells.is_date(text).all():
        return Times(cells.dates(column, text), True)
    pandas = package("pandas", "tables")
    read: dict[str, Values] = {}
    for layout in (day + clock for day in DAYS for clock in CLOCKS):
        moments = pandas.to_datetime(text.iloc[:20], format=layout, errors="coerce", utc=True)
        if (
            moments.notna().all()
            and (moments := pandas.to_datetime(text, format=layout, errors="coerce", utc=True)).notna().all()
        ):
            read[layout] = moments.dt.as_unit("us").astype(np.int64).to_numpy() / 1e6
    if not read:
        dated = cells.is_date(text) | cells.is_number(text)
        row = int(np.argmin(dated)) if dated.any() else 0
        raise ValueError(
            f"time column {column!r} must hold numbers, or dates in one form such as 2024-03-01 or 2024-03-01 14:30, "
            f"got {text.iloc[row]!r} in row {row}; write ISO dates, or name another column with --time"
        )
    first, *others = read.values()
    for values in others:
        if not np.array_equal(values, first):
            raise ValueError(
                f"time column {column!r} holds dates that may be day and month or month and day, such as "
                f"{text.iloc[int(np.argmax(values != first))]!r}; write ISO dates (2024-03-01)"
            )
    return Times(first, True)
