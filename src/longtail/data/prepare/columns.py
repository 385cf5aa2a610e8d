"""The kind of a feature column, inferred from training rows, and its cells as that kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from longtail.data.read.tables import cells
from longtail.data.read.tables.missing import USUAL

Kind = Literal["number", "boolean", "date", "category", "text", "constant", "identifier"]
USED: tuple[Kind, ...] = ("number", "boolean", "date", "category", "text")
CATEGORIES = 1000
"""Most categories that a column keeps, the most frequent ones; the others are code 0, as unknown ones are."""

IDENTIFIERS = 20
"""Text cells, all different, from which on a column is taken to name the rows."""

WORDS = 3
"""Words that half of the cells have where text is prose; half of the cells, of 20 or more, are also different."""

STRAY = 0.05
"""Share of text among numbers up to which it is an error (such as ?), not a category."""

LARGEST = 1e100
"""Numbers beyond this cannot be scaled in float64."""


@dataclass(frozen=True)
class Column:
    """One feature column: its kind, its categories (sorted), and a sentence where its kind needs one.

    "constant" and "identifier" columns are not used.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    note: str = ""


def column(name: str, series: Any, *, prose: bool = True) -> Column:
    """Infer the kind of a feature column from these rows.

    Text is a number, a truth value (true, false) or an ISO date where every cell that is not missing is one. Digits
    that begin with 0 and integers beyond 2^53 are categories; so are numbers among text, except a few stray texts
    among numbers, which are refused. One value everywhere is constant. Text is prose, and its words are counted (see
    `prepare.texts`), where at least 20 cells are filled, half of these are different, and half of them have three words
    or more. Other text that differs in every row (20 or more) names the row and teaches nothing. `prose` False reads no
    text as prose.

    Raises:
        ValueError: infinite numbers, a few texts among numbers, numbers with a decimal comma.
        TypeError: a type that no table has.
    """
    form, values = cells.cells(name, series)
    if form not in ("text", "category"):
        return _numeric(name, form, values)
    present = values[values != ""]
    known = present[~present.str.strip().isin(cells.MISSING)]
    numbers = cells.is_number(known) if form == "text" else np.zeros(len(known), dtype=bool)
    if len(known) and numbers.all():
        return _numeric(name, "number", cells.floats(cells.without_words(values)))
    if len(known) == 0 or (len(present) == len(values) and present.nunique() == 1):
        return _constant(name, known)
    return _category(name, present, "") if form == "category" else _text(name, values, known, numbers, prose)


def _numeric(name: str, kind: Any, values: np.ndarray) -> Column:
    _check_finite(name, values)
    present = values[~np.isnan(values)]
    if len(present) == 0 or (len(present) == len(values) and bool((present == present[0]).all())):
        return _constant(name, present)
    return Column(name, kind)


def _constant(name: str, present: Any) -> Column:
    return Column(name, "constant", note=f"column {name!r} was left out: {'one value' if len(present) else 'no value'}")


def _text(name: str, values: Any, known: Any, numbers: np.ndarray, prose: bool) -> Column:
    """The column whose `known` cells, neither empty nor a word for missing, are not all numbers."""
    if cells.is_truth(known.iloc[:1]).all() and cells.is_truth(known).all():
        return Column(name, "boolean")
    dates = cells.is_date(known)
    if dates.all():
        return _numeric(name, "date", cells.dates(name, cells.without_words(values)))
    if cells.matches(known, cells.DECIMAL_COMMA).all():
        example = known.iloc[0]
        raise ValueError(f"column {name!r} holds numbers with a decimal comma ({example}); write a decimal point")
    if not cells.is_code(known[~numbers]).all():
        _check_strays(name, known, numbers, "numbers")
        _check_strays(name, known, dates, "dates")
    if prose and _is_prose(known):
        return text_column(name)
    return _category(name, values[values != ""], mixture_note(name, known))


def text_column(name: str) -> Column:
    """A column whose words are counted."""
    return Column(name, "text", note=f"column {name!r} is read as text: its words and pairs of words are weighed")


def _is_prose(known: Any) -> bool:
    different = known.nunique()
    if len(known) < IDENTIFIERS or 2 * different < len(known):
        return False
    return bool((known.str.count(r"\S+") >= WORDS).mean() >= 0.5)


def _check_strays(name: str, present: Any, typed: np.ndarray, what: str) -> None:
    text = present[~typed]
    if len(text) <= STRAY * len(present):
        few = "1 text" if len(text) == 1 else f"{len(text)} texts, the first"
        ways = "correct such cells, empty them where the value is missing, or drop the column"
        if text.str.strip().isin(USUAL).all():
            found = ",".join(text.str.strip().unique())
            ways = f"if that means missing, pass missing={found!r} (--missing {found!r})"
        raise ValueError(
            f"column {name!r} holds {int(typed.sum())} {what} and {few} in row {text.index[0]} "
            f"({text.iloc[0]!r}); {ways}"
        )


def mixture_note(name: str, present: Any) -> str:
    """The sentence on cells that are read as categories though some look like numbers; "" where none does."""
    present = present.drop_duplicates()
    numbers, codes = cells.is_number(present), cells.is_code(present)
    if codes.any() and (codes | numbers).all():
        return f"column {name!r} holds codes ({present[codes].iloc[0]}), read as categories"
    if not numbers.any():
        return ""
    number, text = present[numbers].iloc[0], present[~numbers].iloc[0]
    return f"column {name!r} mixes numbers ({number}) and text ({text!r}), read as categories"


def _category(name: str, present: Any, note: str) -> Column:
    counts = present.value_counts()
    if len(counts) == len(present) >= IDENTIFIERS:
        return Column(name, "identifier", note=f"column {name!r} was left out: its text differs in every row")
    ranked = sorted(counts.index, key=lambda category: (-counts[category], category))
    if len(ranked) > CATEGORIES:
        many = f"column {name!r} has {len(ranked):,} categories; all but the {CATEGORIES:,} most frequent are one"
        note = f"{note}; {many}" if note else many
    return Column(name, "category", tuple(sorted(ranked[:CATEGORIES])), note)


def values(column: Column, series: Any) -> Any:
    """The cells of these rows as the column's kind: (N,) float64 with NaN, or strings with "" where missing.

    Raises:
        ValueError: cells of another kind than the training rows had, named.
    """
    form, values = cells.cells(column.name, series)
    if column.kind == "text":
        return values if form in ("text", "category") else cells.texts(series)
    if column.kind == "category":
        return _categories(column, form, values, series)
    if form in ("text", "category"):
        return _parsed(column, values)
    empty = bool(np.isnan(values).all())
    if form != column.kind and not empty and not (column.kind == "boolean" and form == "number" and _are_flags(values)):
        raise ValueError(_other_kind(column, str(series.dtype), series.dropna().iloc[0]))
    _check_finite(column.name, values)
    return values


def _are_flags(values: np.ndarray) -> bool:
    """Whether numbers are 0, 1 or missing, and so may be truth values."""
    return bool(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all())


def _parsed(column: Column, text: Any) -> np.ndarray:
    text = cells.without_words(text)
    present = text != ""
    checks = {"number": cells.is_number, "boolean": cells.is_truth, "date": cells.is_date}
    wrong = present & ~checks[column.kind](text)
    if column.kind == "boolean" and wrong.any() and cells.is_number(text[present]).all():
        flags = cells.numbers(text)
        if _are_flags(flags):
            return flags
    if wrong.any():
        raise ValueError(_other_kind(column, "text", text[wrong].iloc[0]))
    if column.kind == "date":
        return cells.dates(column.name, text)
    values = cells.truths(text) if column.kind == "boolean" else cells.numbers(text)
    _check_finite(column.name, values)
    return values


def _categories(column: Column, form: cells.Form, values: Any, series: Any) -> Any:
    if form in ("text", "category"):
        return values
    # 7.0 means 7: a column of integers becomes float where cells are missing
    text = cells.number_texts(values) if form == "number" else cells.texts(series)
    present = text[text != ""]
    if len(present) and not present.isin(column.categories).any():
        raise ValueError(_other_kind(column, str(series.dtype), present.iloc[0]))
    return text


def _other_kind(column: Column, given: str, example: Any) -> str:
    known = f" such as {column.categories[0]!r}" if column.categories else ""
    kinds = {"number": "numbers", "boolean": "true and false", "date": "ISO dates", "category": "categories"}
    return (
        f"column {column.name!r} had {kinds[column.kind]}{known} in the training rows, got {given} ({example!r}); "
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
