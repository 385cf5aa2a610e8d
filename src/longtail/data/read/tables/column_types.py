"""The type of every column, inferred once from all rows, so that each split and fold of a table reads it alike.

Only what a column *is* (numbers, dates, categories, text) is inferred here, as a reader of the file would see it. What
is learnt from values (medians, deviations, the list of categories, the words) is learnt later, from training rows
alone. A search for knobs infers the types from the rows that are not for testing (`data.split.search`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longtail.data.prepare.columns import column, mixture_note
from longtail.data.read.tables import cells
from longtail.data.read.tables.table import Declared

NONE = Declared()


@dataclass(frozen=True)
class Types:
    """The columns to read as pandas categoricals, those of text, and sentences on categories that look otherwise."""

    categories: list[str]
    text: list[str]
    notes: list[str]


def column_types(frame: Any, declared: Declared = NONE) -> Types:
    """Return how the columns of text are to be read.

    Categories are those that are declared, and those in which some cells look like numbers, truth values or dates:
    otherwise a fold in which these are the only ones would read the column as one of these types.

    Raises:
        ValueError, TypeError: a column that cannot be read in any row (see `column`), whichever part the row is in.
    """
    import pandas

    types = Types(list(declared.categories), list(declared.text), [])
    for name in frame.columns:
        if name in declared.text or name in declared.categories:
            continue
        kind = column(str(name), frame[name]).kind
        if kind == "text":
            types.text.append(str(name))
        if kind not in ("category", "identifier") or isinstance(frame[name].dtype, pandas.CategoricalDtype):
            continue
        text = cells.without_words(cells.cells(str(name), frame[name]).values)
        present = text[text != ""].drop_duplicates()
        checks = (cells.is_number, cells.is_truth, cells.is_date)
        if any(check(present).any() for check in checks) or cells.matches(present, cells.DECIMAL_COMMA).any():
            types.categories.append(name)
            note = mixture_note(str(name), present) if kind == "category" else ""
            types.notes.extend([note] if note else [])
    return types
