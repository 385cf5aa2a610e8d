"""Workbooks: the same table as the CSV file of it; what would be lost silently is refused or said, in one line."""

import datetime
import io
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases import cases

from longtail.data.read.tables.cells import texts
from longtail.data.read.tables.read import read_table
from longtail.data.read.tables.workbook import LARGEST, OLD, read_workbook

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
openpyxl = pytest.importorskip("openpyxl")


def book(path: Path, *rows: Any, title: str = "one", **others: list[Any]) -> Path:
    workbook = openpyxl.Workbook()
    workbook.active.title = title
    for row in rows:
        workbook.active.append(row)
    for name, more in others.items():
        sheet = workbook.create_sheet(name)
        for row in more:
            sheet.append(row)
    workbook.save(path)
    return path


def edited(path: Path, change: Any) -> Path:
    """The same workbook with the text of its first sheet changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = change(parts[name].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


class TestRead:
    def test_is_what_the_csv_of_it_holds(self, tmp_path: Path) -> None:
        frame = pd.DataFrame(
            {
                "whole": [1, 2, 3], "gap": [1.5, None, 2.0], "text": ["a", "007", None], "flag": [True, False, True],
                "day": pd.to_datetime(pd.Series(["2024-03-01", None, "2024-03-02 10:30"]), format="ISO8601"),
            }
        )  # fmt: skip
        frame.to_excel(tmp_path / "t.xlsx", index=False)
        frame.to_csv(tmp_path / "t.csv", index=False)
        found, csv = read_table(tmp_path / "t.xlsx"), read_table(tmp_path / "t.csv")
        assert (found.name, found.header, found.files) == ("t", True, (("t.xlsx", 3),))
        assert list(found.frame.columns) == list(csv.frame.columns)
        assert found.frame["text"].tolist() == ["a", "007", ""]
        assert found.frame["whole"].tolist() == [1, 2, 3]
        assert str(found.frame["day"].dtype).startswith("datetime64")
        assert found.frame["flag"].tolist() == [True, False, True]
        assert np.array_equal(found.frame["gap"].to_numpy(float), [1.5, np.nan, 2.0], equal_nan=True)

    def test_cells_of_several_types_are_text_as_csv_has_it(self, tmp_path: Path) -> None:
        cells = [17, 0.5, True, "x", datetime.date(2024, 3, 1), datetime.datetime(2024, 3, 1, 9, 5), None, 3.0]
        (frame, header, _) = read_workbook(book(tmp_path / "t.xlsx", ["a", "b"], *[[cell, 1] for cell in cells]))
        assert header
        assert frame["a"].tolist() == [
            "17", "0.5", "True", "x", "2024-03-01", "2024-03-01 09:05:00", "", "3",
        ]  # fmt: skip

    def test_the_first_sheet_or_the_one_named(self, tmp_path: Path) -> None:
        path = book(tmp_path / "t.xlsx", ["a"], [1], two=[["b"], ["x"]])
        found = read_table(path)
        assert list(found.frame.columns) == ["a"]
        assert found.notes == ("t.xlsx: sheet 'one' was read, not 'two'; --worksheet names another",)
        assert list(read_table(path, worksheet="two").frame.columns) == ["b"]
        with pytest.raises(ValueError, match=r"must be a sheet of t\.xlsx, got 'three'; it has 'one', 'two'"):
            read_table(path, worksheet="three")

    def test_empty_rows_and_columns_are_left_out_and_said(self, tmp_path: Path) -> None:
        path = book(tmp_path / "t.xlsx", [], [None, "a", None, "b"], [None, 1, None, "x"], [], [None, " "], [None, 2])
        found = read_table(path)
        assert found.frame["a"].tolist() == [1, 2]
        assert found.frame["b"].tolist() == ["x", ""]
        assert found.notes == ("t.xlsx: 2 empty rows of sheet 'one' were left out",)
        one = read_table(book(tmp_path / "u.xlsx", ["a"], [], [1]))
        assert one.notes == ("u.xlsx: 1 empty row of sheet 'one' was left out",)

    def test_a_header_is_told_from_a_row_as_in_a_text_file(self, tmp_path: Path) -> None:
        path = book(tmp_path / "t.xlsx", ["x", 1], ["y", 2])
        found = read_table(path)
        assert (found.header, list(found.frame.columns), len(found.frame)) == (False, ["column1", "column2"], 2)
        assert "the first line holds a number (1)" in found.notes[0]
        assert list(read_table(path, header=True).frame.columns) == ["x", "1"]

    def test_a_formula_is_its_stored_value_and_an_error_is_missing(self, tmp_path: Path) -> None:
        path = book(tmp_path / "t.xlsx", ["a", "b"], [1, "=A2+1"], [2, '=""'], [3, "#N/A"])
        cell = '<c r="B{0}"><f>{1}</f><v />'
        edited(
            path,
            lambda xml: xml.replace(cell.format(2, "A2+1"), '<c r="B2"><f>A2+1</f><v>2</v>').replace(
                cell.format(3, '""'), '<c r="B3" t="str"><f>""</f><v></v>'
            ),
        )
        found = read_table(path)
        assert found.frame["b"].tolist() == [2, pd.NA, pd.NA]
        assert found.notes == ("t.xlsx: a cell holds the error of a formula, read as missing, the first #N/A in B4",)


def merged(path: Path) -> Path:
    workbook = openpyxl.load_workbook(path)
    workbook.active.merge_cells("A2:A3")
    workbook.save(path)
    return path


def protected(path: Path) -> Path:
    path.write_bytes(OLD + b"\xa1\xb1\x1a\xe1" + b"\0" * 600)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-300])
    return path


def no_workbook(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "b")
    return path


def torn(path: Path) -> Path:
    return edited(path, lambda xml: xml[: len(xml) // 2])


@cases(
    ("change", "rows", "line"),
    [
        (
            merged,
            (["a", "b"], [1, 2], [3, 4]),
            r"has merged cells \(A2:A3\), of which only the first has a value; unmerge",
        ),
        (protected, (["a"], [1]), r"is protected by a password, or an old \.xls file; save it as \.xlsx without"),
        (cut, (["a"], [1]), r"is no \.xlsx workbook, or damaged"),
        (no_workbook, (["a"], [1]), "cannot be read as a workbook"),
        (torn, (["a"], [1]), "cannot be read as a workbook"),
        (None, (["a", "b"], [1, "=A2+1"]), "cell B2 holds a formula without a stored value; open the workbook in"),
        (None, (), "sheet 'one' holds no cells; name another with worksheet="),
        (None, (["a", "b"],), "holds a header and no rows; add rows, or name another sheet with worksheet="),
        (None, (["a", "a"], [1, 2]), r"must name every column once, got 'a' 2 times"),
        (None, (["a", None], [1, 2]), "the column below B1 has no name"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, change: Any, rows: Any, line: str) -> None:
    path = book(tmp_path / "t.xlsx", *rows)
    path = path if change is None else change(path)
    with pytest.raises(ValueError, match=line) as error:
        read_table(path)
    assert str(error.value).isprintable()
    assert "t.xlsx" in str(error.value)


def test_empty_files_options_of_others_and_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "e.xlsx").write_bytes(b"")
    with pytest.raises(ValueError, match=r"e\.xlsx is empty \(0 bytes\)"):
        read_table(tmp_path / "e.xlsx")
    path = book(tmp_path / "t.xlsx", ["a"], [1])
    with pytest.raises(
        ValueError, match=r"delimiter \(--delimiter\) is read for \.csv and \.tsv files, not for t\.xlsx"
    ):
        read_table(path, delimiter=";")
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"^worksheet \(--worksheet\) is read for \.xlsx files, not for t\.csv"):
        read_table(tmp_path / "t.csv", worksheet="one")
    assert LARGEST > 2**30
    monkeypatch.setattr("longtail.data.read.tables.workbook.LARGEST", 10)
    with pytest.raises(ValueError, match=r"must unpack to at most 10 bytes, got \d+; save its table as \.csv"):
        read_table(path)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4), min_size=1, max_size=6))
def test_any_text_is_read_as_written(rows: list[str]) -> None:
    workbook, buffer = openpyxl.Workbook(), io.BytesIO()
    workbook.active.append(["text", "b"])
    for number, text in enumerate(rows, start=2):
        workbook.active.cell(number, 1, text).data_type = "s"
        workbook.active.cell(number, 2, "x")
    workbook.save(buffer)
    path: Any = types.SimpleNamespace(name="any.xlsx", read_bytes=buffer.getvalue)
    frame = read_workbook(path).frame
    assert len(frame) == len(rows)
    if any(text.strip() for text in rows):
        assert [text or "" for text in texts(frame["text"])] == [text if text.strip() else "" for text in rows]
