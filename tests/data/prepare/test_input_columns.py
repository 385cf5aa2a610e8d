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


def test_features_by_place_and_nothing_for_images() -> None:
    found = input_columns(FeaturePreparation((3,), "float32"))
    assert found is not None
    assert found[0] == ("feature 0", "feature 1", "feature 2")
    assert found[1].tolist() == [0, 1, 2]
    assert input_columns(FeaturePreparation((1, 8, 8), "float32")) is None
    assert ImagePreparation.kind == "images"
    assert input_columns(None) is None
