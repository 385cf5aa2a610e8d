"""Columns out of cells that have types of their own, as those of a spreadsheet or of JSON have."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from longtail.data.read.optional_packages import package


def series(values: Sequence[Any]) -> Any:
    """Return a pandas series of N cells, None where missing.

    Cells of one type keep it: whole numbers (never through float), numbers, truth values, dates. Cells of several
    types are text, each as a CSV file would show it: 17, 0.5, True, 2024-03-01.
    """
    pandas = package("pandas", "tables")
    kinds = {_kind(value) for value in values if value is not None}
    if kinds == {"whole"}:
        small = all(value is None or -(2**63) <= value < 2**63 for value in values)
        return pandas.Series(values, dtype="Int64" if small else object)
    if kinds and kinds <= {"whole", "number"}:
        exact = all(value is None or abs(value) <= 2**53 for value in values if not isinstance(value, float))
        return pandas.Series(values, dtype="float64" if exact else object)
    if kinds == {"boolean"}:
        return pandas.Series(values, dtype="boolean")
    if kinds == {"date"}:
        return pandas.to_datetime(pandas.Series([_moment(value) for value in values], dtype=object))
    return pandas.Series([text(value) for value in values], dtype=str)


def text(value: Any) -> str:
    """A cell as a CSV file would show it; "" of None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return str(value.date()) if value.time() == datetime.time() else value.isoformat(sep=" ")
    return str(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "whole"
    if isinstance(value, float):
        return "number"
    return "date" if isinstance(value, datetime.date) else "text"


def _moment(value: Any) -> Any:
    if value is None or isinstance(value, datetime.datetime):
        return value
    return datetime.datetime.combine(value, datetime.time())
