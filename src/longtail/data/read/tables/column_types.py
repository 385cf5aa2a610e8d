"""The type of every column, told once from all rows, so that each split and fold of a table reads it alike.

Only what a column *is* (numbers, dates, categories) is told here, as a reader of the file would tell it. What is learnt
from values (medians, deviations, the list of categories) is learnt later, from training rows alone.
"""

from __future__ import annotations

from typing import Any

from longtail.data.prepare.columns import column, mixture
from longtail.data.read.tables import cells


def infer_column_types(frame: Any) -> tuple[Any, list[str]]:
    """The frame with its columns checked, and a sentence on each that is categories in spite of its looks.

    A column of text among which some cells look like numbers, truth values or dates becomes a pandas categorical:
    else a fold in which they happen to stand alone would take it for one of these.

    Raises:
        ValueError, TypeError: a column that cannot be read in any row (see `column`), whichever part the row is in.
    """
    import pandas

    typed, notes = {}, []
    for name in frame.columns:
        kind = column(str(name), frame[name]).kind
        if kind not in ("category", "identifier") or isinstance(frame[name].dtype, pandas.CategoricalDtype):
            continue
        text = cells.cells(str(name), frame[name]).values
        there = text[text != ""].drop_duplicates()
        looks = (cells.is_number(there), cells.is_truth(there), cells.is_date(there))
        if any(seen.any() for seen in looks) or cells.matches(there, cells.DECIMAL_COMMA).any():
            typed[name] = frame[name].astype("category")
            note = mixture(str(name), there) if kind == "category" else ""
            notes += [note] if note else []
    return frame.assign(**typed) if typed else frame, notes
