"""Files of JSON objects: the same table as the CSV file of it; every other line is refused by its number."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases import cases

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from longtail.data import pool as read_pool  # noqa: E402
from longtail.data.read.tables.cells import texts  # noqa: E402
from longtail.data.read.tables.json_lines import read_json_lines  # noqa: E402
from longtail.data.read.tables.read import read_table  # noqa: E402


def write(folder: Path, text: str | bytes, name: str = "t.jsonl") -> Path:
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    return folder / name


class TestRead:
    def test_a_missing_key_null_and_nan_are_missing(self, tmp_path: Path) -> None:
        lines = '{"a": 1, "b": "x"}\r\n\n{"b": "007", "c": 2.5}\n{"a": 2, "b": null, "c": NaN, "d": true}'
        found = read_table(write(tmp_path, lines, "t.ndjson"))
        assert (found.name, found.header, found.files, found.notes) == ("t", True, (("t.ndjson", 3),), ())
        assert found.frame["a"].tolist() == [1, pd.NA, 2]
        assert found.frame["b"].tolist() == ["x", "007", ""]
        assert found.frame["c"].isna().tolist() == [True, False, True]
        assert list(found.frame.columns) == ["a", "b", "c", "d"]

    def test_integers_keep_their_digits(self, tmp_path: Path) -> None:
        frame = read_json_lines(write(tmp_path, f'{{"a": {2**53 + 1}, "b": {10**30}}}\n{{"a": 1, "b": 2}}\n'))
        assert texts(frame["a"]).tolist() == [str(2**53 + 1), "1"]
        assert texts(frame["b"]).tolist() == [str(10**30), "2"]
        mixed = read_json_lines(write(tmp_path, f'{{"a": {2**53 + 1}}}\n{{"a": 0.5}}\n'))
        assert texts(mixed["a"]).tolist() == [str(2**53 + 1), "0.5"]

    def test_a_mark_at_the_beginning_and_line_separators_in_texts(self, tmp_path: Path) -> None:
        frame = read_json_lines(write(tmp_path, '﻿{"a": "one\u2028two"}\n'))
        assert frame["a"].tolist() == ["one\u2028two"]


@cases(
    ("text", "line"),
    [
        ("", r"t\.jsonl is empty \(0 bytes\)"),
        ("\n \n", "holds no line with an object; write one object a line"),
        ("{}\n{}\n", "holds only empty objects"),
        ('{"a": 1}\n[{"a": 1}]\n', "line 2 must be a JSON object, got a list; write each of its objects in a line"),
        ('{"a": 1}\n3\n', "line 2 must be a JSON object, got a number; name it"),
        (
            '{"a": 1}\n{"a": {"b": 1}}\n',
            "line 2: 'a' must be a number, text, true, false or null, got an object; spread",
        ),
        ('{"a": [1]}\n', "line 1: 'a' must be .* got a list"),
        ('{"a": 1, "a": 2}\n', "line 1: key 'a' occurs twice in one object"),
        ('{"a": 1}\n{"a": 1', r"line 2 must be a JSON object such as \{\"a\": 1\}, but cannot be read \(Expecting"),
        ("a,b\n1,2\n", "line 1 must be a JSON object"),
        ('{"a": ' + "[" * 100_000, "line 1 .* cannot be read"),
        ('{"a": "\\ud800"}\n', "line 1 holds half of a character"),
        ('{"a\\u001b\\n": [1]}\n', r"line 1: 'a\\x1b\\n' must be"),
        ('{"a": ' + "1" * 5000 + "}", "line 1 .* cannot be read"),
        (b'{"a": "\xff"}', "must be text in UTF-8, got byte 0xff in line 1"),
        ('{"a": 1}'.encode("utf-16"), "must be text in UTF-8"),
    ],
)
def test_what_is_no_row_is_refused_by_its_line(tmp_path: Path, text: str | bytes, line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        read_table(write(tmp_path, text))
    assert str(error.value).isprintable()


@cases(
    ("options", "line"),
    [
        ({"delimiter": ";"}, "delimiter .* is read for"),
        ({"header": False}, "header .* is not read for t.jsonl"),
        ({"worksheet": "a"}, "read for .xlsx files"),
    ],
)
def test_options_of_other_files_are_refused(tmp_path: Path, options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        read_table(write(tmp_path, '{"a": 1}\n'), **options)


def test_of_rows_without_labels_beside_a_text_file_need_not_be_told_its_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path, "a;y\n1;u\n2;v\n3;u\n", "t.csv")
    more = write(tmp_path, '{"a": 5}\n', "more.jsonl")
    pool = read_pool(path, label="y", delimiter=";", unlabeled=more)
    assert pool.unlabeled is not None
    assert len(pool.unlabeled) == 1


CELL = st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | st.text(max_size=5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=3), CELL, max_size=3), min_size=1, max_size=4))
def test_any_objects_are_read_cell_by_cell(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = write(tmp_path_factory.getbasetemp(), "\n".join(map(json.dumps, rows)), "any.jsonl")
    if not any(rows):
        return
    frame = read_json_lines(path)
    assert len(frame) == len(rows)
    for k, row in enumerate(rows):
        for name in frame.columns:
            cell, value = frame[name].iloc[k], row.get(name)
            if value is None or value != value:
                assert pd.isna(cell) or cell == ""
            elif isinstance(value, str | bool) or isinstance(cell, str):
                assert str(cell) == str(value) or float(cell) == float(value)
            else:
                assert cell == value
