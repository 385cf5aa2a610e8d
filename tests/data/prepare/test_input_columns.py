"""Inputs of a model belong to the columns that the user knows."""

from __future__ import annotations

import numpy as np
import pytest

from longtail.data.prepare.images import FeaturePreparation, ImagePreparation
from longtail.data.prepare.input_columns import input_columns

pd = pytest.importorskip("pandas")


def test_a_column_of_missing_cells_belongs_to_its_column() -> None:
    from longtail.data.prepare.table import TablePreparation

    frame = pd.DataFrame({
        "kind": ["a", "b", "c", "a"], "x": [1.0, np.nan, 2.0, 3.0], "same": [1, 1, 1, 1],
        "y is missing": [1.0, 2.0, 3.0, 5.0], "y": [np.nan, 2.0, 4.0, 4.0],
    })  # fmt: skip
    made = TablePreparation.fit(frame)
    found = input_columns(made)
    assert found is not None
    names, owners = found
    assert names == ("x", "y is missing", "y", "kind")
    assert made.names == ("x", "y is missing", "y", "x is missing", "y is missing", "kind")
    assert [names[p] for p in owners] == ["x", "y is missing", "y", "x", "y", "kind"]


def test_numbers_of_words_belong_to_their_text_whatever_other_columns_are_called() -> None:
    from longtail.data.prepare.table import TablePreparation
    from longtail.data.read.tables.table import Declared, Table

    words = [" ".join(f"{first}{k % n}" for n in (2, 3, 5)) for k, first in enumerate("abab" * 8)]
    frame = pd.DataFrame({
        "note text": np.arange(32.0), "note": words, "note text 1": words[::-1],
        "note text 1 is missing": ["u", "v"] * 16,
    })  # fmt: skip
    frame.loc[3, "note text"] = np.nan
    made = TablePreparation.fit(Table(frame, None, Declared(text=("note", "note text 1"))))
    found = input_columns(made)
    assert found is not None
    sizes = [made.texts[name].size for name in ("note", "note text 1")]
    assert [found[0][p] for p in found[1]] == [
        *["note text"] * 2, *["note"] * sizes[0], *["note text 1"] * sizes[1], "note text 1 is missing",
    ]  # fmt: skip


def test_features_by_place_and_nothing_for_images() -> None:
    found = input_columns(FeaturePreparation((3,), "float32"))
    assert found is not None
    assert found[0] == ("feature 0", "feature 1", "feature 2")
    assert found[1].tolist() == [0, 1, 2]
    assert input_columns(FeaturePreparation((1, 8, 8), "float32")) is None
    assert ImagePreparation.kind == "images"
    assert input_columns(None) is None
