"""What a cell says: the one place where text becomes a number, a truth value, a date or nothing.

A column of a frame and the same column read from a CSV file of that frame mean the same, so the rules are written
for text, and other types follow what they look like as text.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import numpy as np

MISSING = ("", "NA", "NaN", "nan", "null", "NULL")
"""Cells of a feature column, but for white space around, that hold nothing. A label is missing only where empty."""

NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
INFINITE = r"[+-]?(?:[iI]nf(?:inity)?|INF(?:INITY)?)"
CODE = r"[+-]?0[0-9]+"
"""Digits that begin with a zero, such as 007: a code, not a number."""

LONG = r"[+-]?[0-9]{16,}"
EXACT = 2**53
"""Integers beyond this are not all different as floats, so they are codes too."""

DATE = (
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
"""ISO 8601: a day, or a day and a time with or without an offset from UTC."""

DECIMAL_COMMA = r"[+-]?[0-9]+,[0-9]+"
TRUTH = {"true": 1.0, "false": 0.0}
NESTED = (bytes, bytearray, list, tuple, dict, set, np.ndarray, complex)

Form = Literal["number", "boolean", "date", "category", "text"]


class Cells(NamedTuple):
    """A column in one form: float64 with NaN where missing, or strings with "" where missing.

    `form` "text" is not decided yet, "category" is declared by the frame. Dates are seconds since 1970 in UTC.
    """

    form: Form
    values: Any


def cells(name: str, series: Any) -> Cells:
    """A column by its type alone; what text means is left open.

    Raises:
        TypeError: a type that is no table's: nested values, bytes, complex numbers, durations.
    """
    from pandas.api import types

    series = plain(series)
    dtype = series.dtype
    if types.is_bool_dtype(dtype) and not _categorical(dtype):
        return Cells("boolean", series.to_numpy(dtype=np.float64, na_value=np.nan))
    if types.is_integer_dtype(dtype):
        whole = series.dropna()
        if len(whole) and (int(whole.max()) > EXACT or int(whole.min()) < -EXACT):
            return Cells("text", texts(series))
        return Cells("number", series.to_numpy(dtype=np.float64, na_value=np.nan))
    if types.is_float_dtype(dtype):
        return Cells("number", _floats(series))
    if types.is_datetime64_any_dtype(dtype):
        return Cells("date", _seconds(series))
    if _categorical(dtype):
        return Cells("category", _present(texts(series.astype(object))))
    if types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        _check_nested(name, series)
        return Cells("text", _present(texts(series)))
    raise TypeError(f"column {name!r} must hold numbers, text, truth values or dates, got {dtype}; convert or drop it")


def texts(series: Any) -> Any:
    """Every cell as a CSV file would show it; "" where the frame has nothing."""
    import pandas

    if isinstance(series.dtype, np.dtype) and series.dtype == object:
        missing = series.isna().to_numpy()
        shown = ["" if gone else v if isinstance(v, str) else str(v) for v, gone in zip(series, missing, strict=True)]
        return pandas.Series(shown, dtype=str)
    return series.astype(str).where(series.notna(), "").reset_index(drop=True)


def plain(series: Any) -> Any:
    """An Arrow column as pandas' own types; integers never pass through float."""
    import pandas

    if not isinstance(series.dtype, pandas.ArrowDtype):
        return series
    import pyarrow

    return pyarrow.array(series.array).to_pandas(integer_object_nulls=True)


def _present(text: Any) -> Any:
    return text.where(~text.str.strip().isin(MISSING), "")


def _categorical(dtype: Any) -> bool:
    import pandas

    return isinstance(dtype, pandas.CategoricalDtype)


def _floats(series: Any) -> np.ndarray:
    """Narrow floats mean their shortest decimal, which is what a file shows: 0.1, not 0.10000000149."""
    if isinstance(series.dtype, np.dtype) and series.dtype.itemsize < 8:
        return np.asarray(series.to_numpy().astype("U32").astype(np.float64))
    if str(series.dtype).lower().startswith(("float32", "float[", "float16", "halffloat")):
        return np.asarray(series.to_numpy(dtype=np.float32, na_value=np.nan).astype("U32").astype(np.float64))
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _seconds(series: Any) -> np.ndarray:
    """Seconds since 1970 in UTC, from whole microseconds, so that every resolution gives the same float."""
    import pandas

    moments = pandas.Series(pandas.to_datetime(series, utc=True)).dt.as_unit("us")
    since = moments.astype(np.int64).to_numpy() / 1e6
    return np.where(moments.isna().to_numpy(), np.nan, since)


def whole(values: np.ndarray) -> Any:
    """Numbers as text, without a point where they are whole; "" for NaN."""
    import pandas

    shown = ["" if np.isnan(v) else str(int(v)) if v.is_integer() else repr(v) for v in values.tolist()]
    return pandas.Series(shown, dtype=str)


def _check_nested(name: str, series: Any) -> None:
    if not (isinstance(series.dtype, np.dtype) and series.dtype == object):
        return
    odd = next((value for value in series if isinstance(value, NESTED)), None)
    if odd is not None:
        raise TypeError(
            f"column {name!r} must hold numbers, text, truth values or dates, got {type(odd).__name__}; "
            "spread it over columns of its own, or drop it"
        )


def is_number(text: Any) -> np.ndarray:
    """(N,) bool: cells that are numbers, infinite ones included; codes and missing cells are not."""
    bare = text.str.strip()
    number = bare.str.fullmatch(f"(?:{NUMBER}|{INFINITE})") & ~bare.str.fullmatch(CODE)
    long = np.flatnonzero(bare.str.fullmatch(LONG))
    found = np.array(number, dtype=bool)
    for row in long:
        found[row] &= abs(int(bare.iloc[row])) <= EXACT
    return found


def is_truth(text: Any) -> np.ndarray:
    """(N,) bool: true and false in any case."""
    return np.asarray(text.str.strip().str.lower().isin(list(TRUTH)))


def is_date(text: Any) -> np.ndarray:
    """(N,) bool: ISO dates, with or without a time."""
    return np.asarray(text.str.strip().str.fullmatch(DATE), dtype=bool)


def numbers(text: Any) -> np.ndarray:
    """(N,) float64 of cells that are numbers or missing."""
    return np.asarray(text.where(text != "", "nan").astype(np.float64))


def truths(text: Any) -> np.ndarray:
    """(N,) float64, 1 for true and 0 for false."""
    return np.asarray(text.str.strip().str.lower().map(TRUTH), dtype=np.float64)


def dates(name: str, text: Any) -> np.ndarray:
    """(N,) float64 seconds since 1970; a time without offset is UTC."""
    import pandas

    given = text.str.strip()
    try:
        return _seconds(pandas.to_datetime(given.where(given != "", None), format="ISO8601", utc=True))
    except ValueError as error:
        raise ValueError(f"column {name!r} holds a date that does not exist ({str(error).splitlines()[0]})") from None


def like(text: Any, pattern: str) -> np.ndarray:
    """(N,) bool: cells that match as a whole, but for white space around."""
    return np.asarray(text.str.strip().str.fullmatch(re.compile(pattern).pattern), dtype=bool)
