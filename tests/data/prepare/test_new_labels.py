"""Labels of new rows: the column that is named as training names it."""

from __future__ import annotations

import pandas as pd
import pytest

from longtail.data.prepare.new_labels import labelled_rows


@pytest.mark.parametrize("label", ["last", "3", "column3"])
def test_without_a_header_the_label_column_may_be_named_by_its_place(label: str) -> None:
    frame = pd.DataFrame({"column1": [0.5, 1.5], "column2": [1, 2], "column3": ["no", " yes"]})
    assert labelled_rows(frame, None, None, ("no", "yes"), label=label).labels == ["no", "yes"]


def test_with_a_header_a_place_is_no_name() -> None:
    frame = pd.DataFrame({"a": [0.5, 1.5], "b": ["no", "yes"]})
    with pytest.raises(ValueError, match="must be a column, got 'last'"):
        labelled_rows(frame, None, None, ("no", "yes"), label="last")
