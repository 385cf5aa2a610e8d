"""Cells that mean missing: the markers that a user declares, and the usual ones that nobody declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from longtail.data.read.tables import cells
from longtail.facts.messages import quoted, visible

USUAL = ("?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", "-", "--", ".")
"""Cells of text that usually mean missing."""

NUMBERS = (-99.0, -999.0, -9999.0, -99999.0)
"""Numbers that usually mean missing where a column has no other negative one and has them twice or more."""

SOUGHT = (*USUAL, *(written for number in NUMBERS for written in (f"{number:g}", f"{number:.1f}", f"{number:.2f}")))
"""All of these as text."""

LISTED = 5


class Undeclared(NamedTuple):
    """A marker that nobody declared, in how many cells of which columns."""

    marker: str
    cells: int
    columns: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the three as plain JSON."""
        return {"marker": self.marker, "cells": self.cells, "columns": list(self.columns)}

    @property
    def sentence(self) -> str:
        """What was seen, how it is read, and the option."""
        return sentence_of(self.to_json())


def sentence_of(found: Mapping[str, Any]) -> str:
    """Return the sentence on what `Undeclared.to_json` holds."""
    marker, count, columns = found["marker"], found["cells"], found["columns"]
    named, more = ", ".join(f"'{shown}'" for shown in map(visible, columns[:LISTED])), len(columns) - LISTED
    where = f"column{'s' * (len(columns) > 1)} {named}" + (f" and {more} more" if more > 0 else "")
    hold = "1 cell holds" if count == 1 else f"{count:,} cells hold"
    return (
        f"{where}: {hold} {marker!r}, which usually means missing and is read as a value; if it does mean missing, "
        f"pass missing={marker!r} (--missing {marker!r})"
    )


def markers(missing: Any) -> tuple[str, ...]:
    """Return the declared markers, each once: of "?,n/a" both, of a list every entry.

    Raises:
        TypeError, ValueError: neither text nor a list of texts and numbers, or a marker that is empty.
    """
    if missing is None:
        return ()
    given = missing.split(",") if isinstance(missing, str) else missing
    if isinstance(given, int | float) and not isinstance(given, bool):
        given = [given]
    if not isinstance(given, Sequence):
        raise TypeError(f'missing (--missing) must be text such as "?,n/a", or a list, got {quoted(missing)}')
    odd = [one for one in given if isinstance(one, bool) or not isinstance(one, str | int | float)]
    if odd:
        raise TypeError(f"missing (--missing) must list texts and numbers, got {quoted(odd[0])}; write it as text")
    named = [str(one).strip() for one in given]
    if not named or "" in named:
        raise ValueError(
            f'missing (--missing) must name cells, got {quoted(missing)}; empty ones are missing anyway: write "?,n/a"'
        )
    return tuple(dict.fromkeys(named))


def blanked(frame: Any, declared: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """Return a frame whose cells that hold a marker are empty, and the markers that no cell holds.

    A cell holds a marker where its text is the same but for white space around, case included, or where both are
    the same number (-999 and -999.0), unless it is a code such as 007.
    """
    if not declared:
        return frame, ()
    changed, seen = {}, set()
    for name in frame.columns:
        hits = _hits(frame[name], declared)
        held = [marker for marker, rows in hits.items() if rows.any()]
        if held:
            seen.update(held)
            changed[name] = _emptied(frame[name], np.logical_or.reduce([hits[marker] for marker in held]))
    return frame.assign(**changed) if changed else frame, tuple(m for m in declared if m not in seen)


def _hits(series: Any, declared: Sequence[str]) -> dict[str, np.ndarray]:
    """Marker -> (N,) bool, the cells that hold it."""
    text = cells.texts(series).str.strip()
    hits = {marker: np.asarray(text == marker, dtype=bool) for marker in declared}
    numeric = [marker for marker in declared if cells.is_number(_one(marker))[0]]
    if numeric:
        numbers = np.where(cells.is_number(text), cells.floats(text), np.nan)
        hits |= {marker: hits[marker] | (numbers == float(marker)) for marker in numeric}
    return hits


def _one(text: str) -> Any:
    import pandas

    return pandas.Series([text], dtype=str)


def _emptied(series: Any, rows: np.ndarray) -> Any:
    """The same cells, but for these, which are as a file has them that are empty."""
    from pandas.api import types

    if types.is_string_dtype(series.dtype) and not series.isna().any():
        return series.mask(rows, "")
    if types.is_integer_dtype(series.dtype) or types.is_bool_dtype(series.dtype):
        series = series.astype(object)  # integers never pass through float
        return series.where(~rows, None)
    return series.mask(rows)


def undeclared(frame: Any) -> list[Undeclared]:
    """Return the usual markers that are read as values in these feature columns, in the order of `USUAL`.

    NA, NaN and null are not, where all else in a column is numbers, dates or truth values: they are missing there.
    """
    found: dict[str, list[tuple[str, int]]] = {}
    for name in frame.columns:
        for marker, count in _read_as_values(str(name), frame[name]).items():
            found.setdefault(marker, []).append((str(name), count))
    order = [*USUAL, *(f"{number:g}" for number in NUMBERS)]
    return [
        Undeclared(marker, sum(count for _, count in where), tuple(name for name, _ in where))
        for marker, where in sorted(found.items(), key=lambda item: order.index(item[0]))
    ]


def _read_as_values(name: str, series: Any) -> dict[str, int]:
    form, values = cells.cells(name, series)
    if form == "number":
        return _numbers(values)
    if form not in ("text", "category"):
        return {}
    text = values.str.strip()
    if not text.isin(SOUGHT).any():
        return {}
    counts = {str(marker): int(n) for marker, n in text[text.isin(USUAL)].value_counts().items()}
    if form == "text" and (typed := cells.typed(text)) is not None:
        counts = {marker: n for marker, n in counts.items() if marker not in cells.MISSING}
        return counts | (_numbers(cells.floats(text)) if typed == "number" else {})
    return counts


def _numbers(values: np.ndarray) -> dict[str, int]:
    negative = values[values < 0]
    if len(negative) < 2 or negative[0] not in NUMBERS or (negative != negative[0]).any() or not (values >= 0).any():
        return {}
    return {f"{negative[0]:g}": len(negative)}
