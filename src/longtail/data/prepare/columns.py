"""What kind of column a feature is, decided on training rows, and its values as that kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from longtail.data.read.tables import cells
from longtail.data.read.tables.cells import Cells

Kind = Literal["number", "boolean", "date", "category", "constant", "identifier"]
KEPT: tuple[Kind, ...] = ("number", "boolean", "date", "category")
CATEGORIES = 1000
"""A column keeps so many of its most frequent categories; the others are code 0, as unknown ones are."""

IDENTIFIERS = 20
"""Text cells, all different, from which a column is taken for a name of the row."""

STRAY = 0.05
"""Share of text among numbers up to which it is a slip (such as ?), not a category."""

LARGEST = 1e100
"""Numbers beyond this cannot be scaled in float64."""


@dataclass(frozen=True)
class Column:
    """One feature column: its kind, the categories it may take (sorted), and a sentence where there is one to say.

    "constant" and "identifier" columns are left out.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    note: str = ""


def column(name: str, series: Any) -> Column:
    """The kind of a feature column as these rows show it.

    Text is a number, a truth value (true, false) or an ISO date where every cell that is not missing is one. Digits
    that begin with 0 and integers beyond 2^53 are categories; so are numbers among text, except a few stray texts
    among numbers, which are refused. One value everywhere is constant; text that differs in every row (20 or more)
    identifies the row and teaches nothing.

    Raises:
        ValueError: infinite numbers, a few texts among numbers, numbers with a decimal comma.
        TypeError: a type that is no table's.
    """
    form, values = cells.cells(name, series)
    if form not in ("text", "category"):
        return _of_numbers(name, form, values)
    there = values[values != ""]
    if len(there) == 0 or (len(there) == len(values) and there.nunique() == 1):
        if form == "text" and cells.is_number(there).all():
            _check_finite(name, cells.numbers(there))
        return _constant(name, there)
    return _declared(name, there, "") if form == "category" else _of_text(name, values, there)


def _of_numbers(name: str, kind: Any, values: np.ndarray) -> Column:
    _check_finite(name, values)
    there = values[~np.isnan(values)]
    if len(there) == 0 or (len(there) == len(values) and bool((there == there[0]).all())):
        return _constant(name, there)
    return Column(name, kind)


def _constant(name: str, there: Any) -> Column:
    return Column(name, "constant", note=f"column {name!r} was left out: {'one value' if len(there) else 'no value'}")


def _of_text(name: str, values: Any, there: Any) -> Column:
    if cells.is_truth(there.iloc[:1]).all() and cells.is_truth(there).all():
        return Column(name, "boolean")
    number = cells.is_number(there)
    if number.all():
        return _of_numbers(name, "number", cells.numbers(values))
    date = cells.is_date(there)
    if date.all():
        return _of_numbers(name, "date", cells.dates(name, values))
    if cells.matches(there, cells.DECIMAL_COMMA).all():
        raise ValueError(f"column {name!r} holds numbers with a decimal comma ({there.iloc[0]}); write a decimal point")
    note = mixture(name, there)
    if not cells.is_code(there[~number]).all():
        _check_strays(name, there, number, date)
    return _declared(name, there, note)


def _check_strays(name: str, there: Any, number: np.ndarray, date: np.ndarray) -> None:
    for what, typed in (("numbers", number), ("dates", date)):
        text = there[~typed]
        if len(text) <= STRAY * len(there):
            few = "1 text" if len(text) == 1 else f"{len(text)} texts, the first"
            raise ValueError(
                f"column {name!r} holds {int(typed.sum())} {what} and {few} in row {text.index[0]} "
                f"({text.iloc[0]!r}); correct such cells, empty them where the value is missing, or drop the column"
            )


def mixture(name: str, there: Any) -> str:
    """The sentence on cells that are read as categories though some look like numbers; "" where none does."""
    there = there.drop_duplicates()
    number = cells.is_number(there)
    codes = cells.is_code(there)
    if codes.any() and (codes | number).all():
        return f"column {name!r} holds codes ({there[codes].iloc[0]}), read as categories"
    if not number.any():
        return ""
    example = there[~number].iloc[0]
    return f"column {name!r} mixes numbers ({there[number].iloc[0]}) and text ({example!r}), read as categories"


def _declared(name: str, there: Any, note: str) -> Column:
    counts = there.value_counts()
    if len(counts) == len(there) >= IDENTIFIERS:
        return Column(name, "identifier", note=f"column {name!r} was left out: its text differs in every row")
    ranked = sorted(zip(counts.index.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    if len(ranked) > CATEGORIES:
        many = f"column {name!r} has {len(ranked):,} categories; all but the {CATEGORIES:,} most frequent are one"
        note = f"{note}; {many}" if note else many
    return Column(name, "category", tuple(sorted(value for value, _ in ranked[:CATEGORIES])), note)


def values(column: Column, series: Any) -> Any:
    """The cells of these rows as the column's kind: (N,) float64 with NaN, or strings with "" where missing.

    Raises:
        ValueError: cells of another kind than the training rows had, named.
    """
    found = cells.cells(column.name, series)
    if column.kind == "category":
        return _categories(column, found, series)
    if found.form in ("text", "category"):
        return _parsed(column, found.values)
    empty = bool(np.isnan(found.values).all())
    if found.form != column.kind and not empty and not (column.kind == "boolean" and _is_flag(found)):
        raise ValueError(_other(column, str(series.dtype), series.dropna().iloc[0]))
    _check_finite(column.name, found.values)
    return found.values


def _is_flag(found: Cells) -> bool:
    there = found.values[~np.isnan(found.values)]
    return found.form == "number" and bool(np.isin(there, (0.0, 1.0)).all())


def _parsed(column: Column, text: Any) -> np.ndarray:
    there = text != ""
    tests = {"number": cells.is_number, "boolean": cells.is_truth, "date": cells.is_date}
    wrong = there & ~tests[column.kind](text)
    if column.kind == "boolean" and wrong.any() and cells.is_number(text[there]).all():
        flags = Cells("number", cells.numbers(text))
        if _is_flag(flags):
            return np.asarray(flags.values)
    if wrong.any():
        raise ValueError(_other(column, "text", text[wrong].iloc[0]))
    if column.kind == "date":
        return cells.dates(column.name, text)
    found = cells.truths(text) if column.kind == "boolean" else cells.numbers(text)
    _check_finite(column.name, found)
    return found


def _categories(column: Column, found: Cells, series: Any) -> Any:
    if found.form in ("text", "category"):
        return found.values
    # 7.0 means 7: a column of integers becomes float where cells are missing
    text = cells.number_texts(found.values) if found.form == "number" else cells.texts(series)
    there = text[text != ""]
    if len(there) and not there.isin(column.categories).any():
        raise ValueError(_other(column, str(series.dtype), there.iloc[0]))
    return text


def _other(column: Column, got: str, example: Any) -> str:
    known = f" such as {column.categories[0]!r}" if column.categories else ""
    kinds = {"number": "numbers", "boolean": "true and false", "date": "ISO dates", "category": "categories"}
    return (
        f"column {column.name!r} held {kinds[column.kind]}{known} in the training rows, got {got} ({example!r}); "
        "correct the cells, or give the column the type it had"
    )


def _check_finite(name: str, values: np.ndarray) -> None:
    large = np.abs(values) > LARGEST
    if large.any():
        value = float(values[large][0])
        what = "infinite" if np.isinf(value) else f"beyond {LARGEST:g}"
        many = "1 cell is" if large.sum() == 1 else f"{int(large.sum())} cells are"
        raise ValueError(
            f"column {name!r} must hold finite numbers, got {value:g} ({many} {what}); "
            "correct such cells, or empty them where the value is missing"
        )
