"""Cells of a table as numbers, truth values, dates or text: the one place that parses them.

A column of a frame and the same column read from a CSV file of that frame mean the same, so the rules are written
for text, and other types follow what they look like as text.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

MISSING = ("NA", "NaN", "nan", "null", "NULL")
"""Words that are missing, as empty cells are, in a column of numbers, dates or truth values. Among categories they are
categories, such as NA for Namibia, and in a label column classes, unless they are declared (`tables.missing`)."""

EXACT = 2**53
"""Integers beyond this are not all different as floats, so they are codes."""

DATE = (
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
"""ISO 8601: a day, or a day and a time with or without an offset from UTC. pandas also takes 2024, 20240101 and now."""

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
    """The cells of a column by its type alone; what text means is decided elsewhere.

    Raises:
        TypeError: a type that no table has: nested values, bytes, complex numbers, durations.
    """
    from pandas.api import types

    series = _without_arrow(series)
    dtype = series.dtype
    if _categorical(dtype):
        return Cells("category", _blank(texts(series.astype(object))))
    if types.is_bool_dtype(dtype):
        return Cells("boolean", series.to_numpy(dtype=np.float64, na_value=np.nan))
    if types.is_integer_dtype(dtype):
        if not series.dropna().between(-EXACT, EXACT).all():
            return Cells("text", texts(series))
        return Cells("number", series.to_numpy(dtype=np.float64, na_value=np.nan))
    if types.is_float_dtype(dtype):
        return Cells("number", _floats(series))
    if types.is_datetime64_any_dtype(dtype):
        return Cells("date", _seconds(series))
    if types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        _check_nested(name, series)
        return Cells("text", _blank(texts(series)))
    raise TypeError(f"column {name!r} must hold numbers, text, truth values or dates, got {dtype}; convert or drop it")


def texts(series: Any) -> Any:
    """Every cell as a CSV file would show it; "" where the frame has nothing."""
    series = _without_arrow(series).reset_index(drop=True)
    return series.astype(str).where(series.notna(), "")


def is_number(text: Any) -> np.ndarray:
    """(N,) bool: cells that are numbers, infinite ones included; codes and missing cells are not."""
    return np.asarray(~np.isnan(floats(text)) & ~is_code(text))


def is_code(text: Any) -> np.ndarray:
    """(N,) bool: integers that a float would change: with leading zeros, such as 007, or beyond 2^53."""
    digits, integer = text.str.strip().str.lstrip("+-"), matches(text, "[+-]?[0-9]+")
    size, exact = digits.str.len(), str(EXACT)
    beyond = (size > len(exact)) | ((size == len(exact)) & (digits > exact))  # as text of one length, so as numbers
    return np.asarray((beyond | (digits.str.startswith("0") & (size > 1))) & integer)


def is_truth(text: Any) -> np.ndarray:
    """(N,) bool: true and false in any case."""
    return np.asarray(~np.isnan(truths(text)))


def is_date(text: Any) -> np.ndarray:
    """(N,) bool: what has the form of an ISO date, with or without a time."""
    return matches(text, DATE)


def matches(text: Any, pattern: str) -> np.ndarray:
    """(N,) bool: cells that match as a whole, but for white space around."""
    return np.asarray(text.str.strip().str.fullmatch(pattern), dtype=bool)


def floats(text: Any) -> np.ndarray:
    """(N,) float64: decimal numbers and infinity as text has them, codes too; NaN for all else."""
    import pandas

    return np.asarray(pandas.to_numeric(text.str.strip(), errors="coerce"), dtype=np.float64)


def numbers(text: Any) -> np.ndarray:
    """(N,) float64 of cells that are numbers or missing, to the last bit, which `floats` is not with every pandas."""
    return np.asarray(text.where(text != "", "nan").astype(np.float64))


def truths(text: Any) -> np.ndarray:
    """(N,) float64, 1 for true and 0 for false, NaN for all else."""
    return np.asarray(text.str.strip().str.lower().map(TRUTH), dtype=np.float64)


def dates(name: str, text: Any) -> np.ndarray:
    """(N,) float64 seconds since 1970 of cells that are dates or missing; a time without offset is UTC."""
    import pandas

    try:
        return _seconds(pandas.to_datetime(text.str.strip().replace("", None), format="ISO8601", utc=True))
    except ValueError as error:
        raise ValueError(f"column {name!r} holds a date that does not exist ({str(error).splitlines()[0]})") from None


def number_texts(values: np.ndarray) -> Any:
    """Numbers as text, without a point where they are whole; "" for NaN."""
    import pandas

    shown = ["" if np.isnan(v) else str(int(v)) if v.is_integer() else repr(v) for v in values.tolist()]
    return pandas.Series(shown, dtype=str)


def _without_arrow(series: Any) -> Any:
    """An Arrow column as pandas' own types; integers never pass through float."""
    import pandas

    if not isinstance(series.dtype, pandas.ArrowDtype):
        return series
    import pyarrow

    return pyarrow.array(series.array).to_pandas(integer_object_nulls=True)


def without_words(text: Any) -> Any:
    """The same cells, but "" for the words that mean missing in a column of numbers, dates or truth values."""
    return text.where(~text.str.strip().isin(MISSING), "")


def typed(text: Any) -> Form | None:
    """What every cell is that is neither empty nor a word for missing: number, boolean or date; None otherwise."""
    present = text[(text != "") & ~text.str.strip().isin(MISSING)].drop_duplicates()
    if len(present) == 0:
        return None
    checks: dict[Form, Any] = {"number": is_number, "boolean": is_truth, "date": is_date}
    return next((form for form, check in checks.items() if check(present).all()), None)


def _blank(text: Any) -> Any:
    return text.where(text.str.strip() != "", "")


def _categorical(dtype: Any) -> bool:
    import pandas

    return isinstance(dtype, pandas.CategoricalDtype)


def _floats(series: Any) -> np.ndarray:
    """Narrow floats mean their shortest decimal, which is what a file shows: 0.1, not 0.10000000149."""
    size = getattr(series.dtype, "itemsize", 8)
    if size >= 8:
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(series.to_numpy(dtype=f"f{size}", na_value=np.nan).astype("U32").astype(np.float64))


def _seconds(series: Any) -> np.ndarray:
    """Seconds since 1970 in UTC, from whole microseconds, so that every resolution gives the same float."""
    import pandas

    times = pandas.Series(pandas.to_datetime(series, utc=True)).dt.as_unit("us")
    return np.where(times.isna(), np.nan, times.astype(np.int64) / 1e6)


def _check_nested(name: str, series: Any) -> None:
    if series.dtype != object:
        return
    nested = next((value for value in series if isinstance(value, NESTED)), None)
    if nested is not None:
        raise TypeError(
            f"column {name!r} must hold numbers, text, truth values or dates, got {type(nested).__name__}; "
            "spread it over columns of its own, or drop it"
        )
