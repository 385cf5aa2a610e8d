"""The type of every column, inferred once from all rows, so that each split and fold of a table reads it alike.

Only what a column *is* (numbers, dates, categories) is inferred here, as a reader of the file would see it. What is
learnt from values (medians, deviations, the list of categories) is learnt later, from training rows alone. A search
for knobs infers the types from the rows that are not for testing (`data.split.search`).
"""

from __future__ import annotations

from typing import Any

from longtail.data.prepare.columns import column, mixture_note
from longtail.data.read.tables import cells


def mixed_columns(frame: Any) -> tuple[list[str], list[str]]:
    """Return the columns of text to read as pandas categoricals, and sentences on categories that look otherwise.

    They are those in which some cells look like numbers, truth values or dates: otherwise a fold in which these are
    the only ones would read the column as one of these types.

    Raises:
        ValueError, TypeError: a column that cannot be read in any row (see `column`), whichever part the row is in.
    """
    import pandas

    names, notes = [], []
    for name in frame.columns:
        kind = column(str(name), frame[name]).kind
        if kind not in ("category", "identifier") or isinstance(frame[name].dtype, pandas.CategoricalDtype):
            continue
        text = cells.cells(str(name), frame[name]).values
        present = text[text != ""].drop_duplicates()
        checks = (cells.is_number, cells.is_truth, cells.is_date)
        if any(check(present).any() for check in checks) or cells.matches(present, cells.DECIMAL_COMMA).any():
            names.append(name)
            note = mixture_note(str(name), present) if kind == "category" else ""
            notes += [note] if note else []
    return names, notes
