"""The columns of a table by its training rows, and the transformer of those that are not text."""

from __future__ import annotations

from typing import Any

import numpy as np

from longtail.data.prepare.columns import CATEGORIES, Column, column, text_column, values
from longtail.data.prepare.texts import Text
from longtail.data.read.tables.table import Declared


def typed_columns(
    frame: Any, declared: Declared, known: tuple[str, ...] | None
) -> tuple[tuple[Column, ...], dict[str, Text]]:
    """The columns by these rows, and how the words of texts are weighed.

    `known` are the columns of text where that was decided by more rows than these.
    """
    columns, texts = [], {}
    for name in map(str, frame.columns):
        one = text_column(name) if name in (known or ()) else column(name, frame[name], prose=known is None)
        if one.kind == "text":
            try:
                texts[name] = Text.fit(name, values(one, frame[name]).tolist())
            except ValueError:
                if name in declared.text:
                    raise
                why = "is text of which no two training rows share two words"
                one = Column(name, "identifier", note=f"column {name!r} was left out: it {why}")
        columns.append(one)
    return tuple(columns), texts


def plain_names(used: list[Column]) -> list[str]:
    """The columns for the transformer."""
    return [c.name for c in used if c.kind != "text"]


def typed_cells(used: list[Column], frame: Any) -> Any:
    """The used columns as float64 and, for categories, as strings."""
    import pandas

    data = {c.name: values(c, frame[c.name]) for c in used}
    return pandas.DataFrame({n: v.to_numpy(dtype=object) if hasattr(v, "to_numpy") else v for n, v in data.items()})


def plain_transformer(numbers: list[str], missing: list[str], codes: list[Column]) -> Any:
    """Return what scales these numbers, says where some are missing, and numbers the categories, not fitted yet."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler

    scaled = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    encoder = OrdinalEncoder(
        categories=[np.array(c.categories, dtype=object) for c in codes],
        handle_unknown="use_encoded_value",
        unknown_value=-1,
    )
    steps = [
        ("numbers", scaled, numbers),
        ("missing", MissingIndicator(features="all"), missing),
        ("codes", encoder, [c.name for c in codes]),
    ]
    return ColumnTransformer([step for step in steps if step[2]], sparse_threshold=0.0)


def unknown_categories(used: list[Column], typed: Any) -> list[str]:
    """Return a sentence on every column of categories with cells that training did not have."""
    notes = []
    for c in used:
        if c.kind == "category" and len(c.categories) < CATEGORIES:
            unknown = ~typed[c.name].isin((*c.categories, ""))
            if unknown.any():
                notes.append(
                    f"column {c.name!r}: {int(unknown.sum())} of {len(typed)} rows have a category that training did "
                    f"not have, such as {typed[c.name][unknown].iloc[0]!r}"
                )
    return notes
