"""Costs in words, files, arrays and frames are one matrix; whatever is wrong is refused in one line."""

import numpy as np
import pandas as pd
import pytest
from tests.cases import cases

from longtail.posthoc.decisions import read_cost

NAMES = ("cat", "dog", "=1+1", "\x1b[2J")
MATRIX = [[0, 1, 2, 3], [4, 0, 5, 6], [7, 8, 0, 9], [10, 11, 12, 0.5]]


def written(path, order, matrix=MATRIX, corner=""):
    lines = [",".join([corner, *(f'"{NAMES[j]}"' for j in order)])]
    lines += [",".join([f'"{NAMES[i]}"', *(str(matrix[i][j]) for j in order)]) for i in order[::-1]]
    path.write_text("\n".join(lines) + "\n\n", "utf-8")
    return path


def test_words_are_about_one_class_against_the_rest():
    assert read_cost("missed=10, false=1", ["no", "yes"], "yes").tolist() == [[0, 1], [10, 0]]
    assert read_cost("missed=10", 2, 0).tolist() == [[0, 10], [1, 0]]
    assert read_cost("missed=9,false=2", 3, 1).tolist() == [[0, 2, 2], [9, 0, 9], [2, 2, 0]]
    assert read_cost("missed=9,false=2,other=0", 3, 1).tolist() == [[0, 2, 0], [9, 0, 9], [0, 2, 0]]


def test_a_file_is_read_by_its_names_in_any_order(tmp_path):
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        path = written(tmp_path / "costs.csv", order, corner="true")
        assert read_cost(path, NAMES).tolist() == read_cost(str(path), NAMES).tolist() == MATRIX
    frame = pd.DataFrame(MATRIX, index=NAMES, columns=NAMES)
    assert read_cost(frame.iloc[[2, 1, 0, 3], [3, 0, 1, 2]], NAMES).tolist() == MATRIX
    assert read_cost(np.array(MATRIX), NAMES).tolist() == MATRIX


@cases(
    ("given", "positive", "message"),
    [
        ([[0, 1], [1, 0]], None, "one row and one column for each of the 3 classes, got shape (2, 2)"),
        (np.zeros((3, 3)), None, "above 0 for some mistake"),
        ([[-1, 1, 1], [1, 0, 1], [1, 1, 0]], None, "got -1 at true class 'a', called 'a'; being right"),
        ([[0, 1, -2], [1, 0, 1], [1, 1, 0]], None, "got -2 at true class 'a', called 'c'; correct it"),
        ([[0, 1, np.nan], [1, 0, 1], [1, 1, 0]], None, "finite and >= 0, got nan"),
        ([["x"] * 3] * 3, None, "must be numbers (C, C)"),
        ("missed=10,false=1", None, "needs its name; pass positive"),
        ("missed=10,false=1", "d", "positive must be a class, got 'd'; the classes are 'a', 'b', 'c'"),
        ("missed=10,false=1", 3, "positive must be a class, got 3"),
        ("missed=10,flase=1", "a", "must name missed, false or other, got 'flase=1'"),
        ("missed=1,missed=2", "a", "must give missed once"),
        ("missed=-1", "a", "missed of cost must be a number >= 0, got '-1'"),
        ("missed=inf", "a", "missed of cost must be a number >= 0"),
        ("missed=1_0", "a", "missed of cost must be a number >= 0"),
        ("missed=__import__('os')", "a", "missed of cost must be a number >= 0"),
        ("no-such-file.csv", None, "must be a file of costs"),
    ],
)
def test_wrong_costs_are_refused(given, positive, message):
    with pytest.raises(ValueError) as caught:
        read_cost(given, ["a", "b", "c"], positive)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@cases(
    ("text", "message"),
    [
        (",a,b,c\na,0,1,1\nb,1,0,1\n", "must have a row for every class, got none for 'c'"),
        (",a,b\na,0,1\nb,1,0\nc,1,1\n", "must have a column for every class, got none for 'c'"),
        (",a,b,d\na,0,1,1\nb,1,0,1\nc,1,1,0\n", "got a column 'd'"),
        (",a,b,c\na,0,1,1\nb,1,0,1\n\x1bX,1,1,0\n", r"got a row '\x1bX'"),
        (",a,b,c\na,0,1,1\na,1,0,1\nc,1,1,0\n", "got two rows 'a'"),
        (",a,b,c\na,0,1,1\nb,1,0\nc,1,1,0\n", "must have 3 costs in every row, got 2 for 'b'"),
        (",a,b,c\na,0,=1+1,1\nb,1,0,1\nc,1,1,0\n", "cost of 'a' called 'b' must be a number >= 0, got '=1+1'"),
        (",a,b,c\na,0,1,1\nb,1,-3,1\nc,1,1,0\n", "cost of 'b' called 'b' must be a number >= 0, got '-3'"),
        (",a,b,c\na,0,1,nan\nb,1,0,1\nc,1,1,0\n", "must be a number >= 0, got 'nan'"),
        ("a;b;c\n0;1;1\n", "class names and costs, separated by commas"),
        (b"\xff\xfe\x00", "comma-separated text in UTF-8"),
        ("", "class names and costs"),
    ],
)
def test_wrong_files_are_refused(text, message, tmp_path):
    path = tmp_path / "cos\x1bts.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError) as caught:
        read_cost(path, ["a", "b", "c"])
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
