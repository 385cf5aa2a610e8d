"""Cells that mean missing: those declared are empty in every column, now and in new rows; the usual ones are told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases import cases

import longtail as lt
from longtail.data import pool as read_pool
from longtail.data.prepare.new_labels import labelled_rows
from longtail.data.prepare.restored import restored
from longtail.data.read.tables.missing import NUMBERS, USUAL, blanked, markers, undeclared
from longtail.inspection import inspection

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


class TestMarkers:
    def test_are_a_comma_list_or_a_list(self) -> None:
        assert markers(None) == ()
        assert markers("?, n/a,?") == ("?", "n/a")
        assert markers(["a,b", -999, 1.5]) == ("a,b", "-999", "1.5")
        assert markers(-999) == ("-999",)

    @cases(
        ("given", "kind", "line"),
        [
            ("", ValueError, "must name cells, got ''"),
            ("?,,", ValueError, r"must name cells, got '\?,,'; empty ones are missing anyway"),
            ([], ValueError, r"must name cells"),
            ([None], TypeError, "must list texts and numbers, got None"),
            ([True], TypeError, "must list texts and numbers, got True"),
            ({"?": 1}, TypeError, "or a list"),
        ],
    )
    def test_that_are_none_are_refused(self, given: Any, kind: type[Exception], line: str) -> None:
        with pytest.raises(kind, match=line):
            markers(given)


class TestBlanked:
    def test_is_empty_where_the_text_or_the_number_is_the_marker(self) -> None:
        frame = pd.DataFrame(
            {
                "text": pd.Series([" ? ", "a?", "N/A", "-999"], dtype=str),
                "code": pd.Series(["007", "7", "7.0", ""], dtype=str),
                "whole": [1, -999, 2**62 + 1, 4],
                "number": [1.5, -999.0, np.nan, 7.0],
            }
        )
        found, unseen = blanked(frame, ("?", "-999", "7", "never"))
        assert unseen == ("never",)
        assert found["text"].tolist() == ["", "a?", "N/A", ""]
        assert found["code"].tolist() == ["007", "", "", ""]
        assert found["whole"].tolist() == [1, None, 2**62 + 1, 4]  # not through float
        assert found["number"].isna().tolist() == [False, True, True, True]
        assert frame["text"].tolist()[0] == " ? "

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.sampled_from(["?", "??", "n/a", "N/A", "-9", "-9.0", "09", "x,y", "", " ?"]), max_size=8))
    def test_is_by_brute_force(self, cells: list[str]) -> None:
        found, _ = blanked(pd.DataFrame({"x": pd.Series(cells, dtype=str)}), ("?", "-9"))
        means = {"?": "", " ?": "", "-9": "", "-9.0": ""}
        assert found["x"].tolist() == [means.get(cell, cell) for cell in cells]


def claims(n: int = 60) -> Any:
    """Numbers with "?" in a fifth of the rows; Namibia and None as categories; 9 times -999 among ages."""
    draw = np.random.default_rng(0)
    size = [str(k) for k in draw.integers(10, 99, n)]
    for k in range(0, n, 5):
        size[k] = "?"
    age = draw.integers(18, 90, n)
    age[:9] = -999
    return pd.DataFrame(
        {
            "size": size, "country": ["NA", "DE", "None"] * (n // 3), "age": age,
            "gap": ["NA", "1.5", "2"] * (n // 3), "y": ["often", "often", "rare", "often"] * (n // 4),
        }
    )  # fmt: skip


class TestUndeclared:
    def test_usual_markers_that_are_read_as_values_are_told_by_column(self, tmp_path: Path) -> None:
        claims().to_csv(tmp_path / "claims.csv", index=False)
        pool = read_pool(tmp_path / "claims.csv", label="y")
        told = [note for note in pool.notes if "usually means missing" in note]
        assert told == [
            "column 'size': 12 cells hold '?', which usually means missing and is read as a value; if it does mean "
            "missing, pass missing='?' (--missing '?')",
            "column 'country': 20 cells hold 'NA', which usually means missing and is read as a value; if it does mean "
            "missing, pass missing='NA' (--missing 'NA')",
            "column 'country': 20 cells hold 'None', which usually means missing and is read as a value; if it does "
            "mean missing, pass missing='None' (--missing 'None')",
            "column 'age': 9 cells hold '-999', which usually means missing and is read as a value; if it does mean "
            "missing, pass missing='-999' (--missing '-999')",
        ]
        document = inspection(pool, lt.data.load(pool))
        (check,) = [check for check in document["checks"] if check["code"] == "LT021"]
        assert check["found"] == told
        assert not set(told) & set(document["notes"])  # said once
        assert document["undeclared_missing"][0] == {"marker": "?", "cells": 12, "columns": ["size"]}

    def test_a_number_that_others_are_below_or_that_comes_once_is_a_number(self) -> None:
        assert NUMBERS[1] == -999
        assert not undeclared(pd.DataFrame({"a": [-999.0, -5.0, 3.0, -999.0], "b": [-999, 1, 2, 3], "c": [-999] * 4}))
        assert [one.marker for one in undeclared(pd.DataFrame({"a": ["-999", "3", "-999", "NA"]}))] == ["-999"]

    def test_a_category_called_na_survives_and_its_columns_fold_into_one_sentence(self) -> None:
        frame = pd.DataFrame({f"c{k}": ["NA", "x"] for k in range(7)})
        (one,) = undeclared(frame)
        assert one.sentence.startswith("columns 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more: 7 cells hold 'NA'")
        splits = lt.data.load(claims(), "y")
        kinds = {c.name: c for c in splits.preparation.columns}  # type: ignore[union-attr]
        assert kinds["country"].categories == ("DE", "NA", "None")
        assert kinds["gap"].kind == "number"  # there NA is no number, so missing
        assert kinds["size"].kind == "category"

    def test_a_hostile_name_is_one_line(self) -> None:
        (one,) = undeclared(pd.DataFrame({"a\n\x1b[31m": ["?", "b"]}))
        assert one.sentence.isprintable()
        assert set(USUAL) >= {"?", "NA", "n/a", "null", "-", "NaN", "None"}


class TestDeclared:
    def test_makes_the_column_one_of_numbers_in_the_model_and_in_new_rows(self) -> None:
        splits = lt.data.load(claims(), "y", missing="?,NA,-999")
        assert splits.facts["missing"] == ["?", "NA", "-999"]
        preparation = splits.preparation
        assert preparation is not None
        assert preparation.names == (  # type: ignore[attr-defined]
            "size", "age", "gap", "size is missing", "age is missing", "gap is missing", "country",
        )  # fmt: skip
        again = restored(preparation.to_json(), preparation.blobs())
        assert again is not None
        new = claims().drop(columns="y")
        empty = new.replace({"?": "", "NA": ""}).assign(age=new["age"].where(new["age"] != -999))
        assert again(new).equal(preparation(empty))
        assert not any("usually means missing" in note and "None" not in note for note in splits.notes)

    def test_is_part_of_what_a_training_is(self) -> None:
        plain, declared = lt.data.load(claims(), "y"), lt.data.load(claims(), "y", missing="?")
        assert plain.hash != declared.hash
        assert "missing" not in plain.facts
        empty = claims().replace({"?": ""})
        assert lt.data.load(empty, "y").hash == declared.hash

    def test_holds_for_labels_too(self) -> None:
        frame = claims()
        frame.loc[:3, "y"] = "?"
        with pytest.raises(ValueError, match="label column 'y' is empty in 4 of 60 rows"):
            read_pool(frame, "y", missing="?")
        assert read_pool(frame, "y").classes == ("?", "often", "rare")
        splits = lt.data.load(frame, "y", missing="?", unlabeled="same")
        assert splits.unlabeled is not None
        assert len(splits.unlabeled) == 4
        rows = labelled_rows(frame, None, splits.preparation, splits.classes, label="y")
        assert rows.labels[:5] == ["", "", "", "", "often"]

    def test_that_no_cell_holds_is_said(self) -> None:
        pool = read_pool(claims(), "y", missing="?,-888")
        assert "no cell of data is '-888', which missing (--missing) declares" in pool.notes

    def test_of_arrays_is_refused(self) -> None:
        with pytest.raises(
            ValueError, match=r"missing \(--missing\) is not read for arrays, got '\?'; it is for: table"
        ):
            read_pool(np.zeros((10, 2)), [0, 1] * 5, missing="?")
