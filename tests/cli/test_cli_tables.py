"""Tables as they come, from the shell: markers, workbooks, JSON lines, text and time; hostile files are one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cases import cases

from longtail.cli import run

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
openpyxl = pytest.importorskip("openpyxl")

WORDS = ["roof", "fire", "water", "storm", "night", "wind", "tree", "left", "door", "broke", "paid", "claim"]
TABLES = ["--label", "fraud", "--time", "when", "--missing", "?,n/a"]


def claims(n: int = 160) -> Any:
    """The class is in the text: "cash" is said in claims that are fraud; a fifth of the ages are "?"."""
    draw = np.random.default_rng(0)
    fraud = draw.random(n) < 0.2
    fraud[:2] = True, False
    note = [" ".join([*draw.choice(WORDS, 5), *(["cash"] if one else [])]) for one in fraud]
    age = [str(k) if k % 5 else "?" for k in draw.integers(20, 90, n)]
    day = pd.date_range("2023-01-01", periods=n, freq="D").strftime("%Y-%m-%d")
    return pd.DataFrame({"age": age, "note": note, "when": day, "fraud": np.where(fraud, "yes", "no")})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    data = claims()
    data.to_csv(folder / "claims.csv", index=False)
    new = data.iloc[120:]
    plain = new.drop(columns=["fraud", "when"])
    plain.to_csv(folder / "new.csv", index=False)
    typed = [[int(age) if age != "?" else "?", note] for age, note in plain[["age", "note"]].to_numpy()]
    pd.DataFrame(typed, columns=["age", "note"]).to_excel(folder / "new.xlsx", index=False)
    lines = [{"note": note} | ({} if age == "?" else {"age": age}) for age, note in typed]
    (folder / "new.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pd.ExcelWriter(folder / "labelled.xlsx") as book:
        pd.DataFrame({"about": ["this book"]}).to_excel(book, sheet_name="about", index=False)
        new.to_excel(book, sheet_name="claims", index=False)
        book.sheets["claims"].insert_rows(5)
    options = [*TABLES, "--method", "logistic-posthoc", "--out", str(folder / "m")]
    assert run(["train", str(folder / "claims.csv"), *options]) == 0
    return folder


def test_a_training_and_its_plan_say_how_the_table_was_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [str(folder / "claims.csv"), "--label", "fraud", "--missing", "zzz", "--drop", "age", "--time", "when"]
    for words in (["train"], ["train", "--dry-run"], ["compare", "--methods", "logistic", "--dry-run"]):
        further = ["--method", "logistic", "--out", str(folder / "said")] if "train" in words else ["--jobs", "1"]
        assert run([*words, *options, *further]) == 0
        said = capsys.readouterr().out
        assert "Note: no cell of claims is 'zzz', which missing (--missing) declares.\n" in said
        assert "Note: test: 25 % of the rows (40), those from 2023-05-01 on by column 'when', which is no" in said
        assert "Note: column 'note' is read as text" in said


def test_a_model_of_a_csv_predicts_workbooks_and_json_lines_alike(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for name in ("new.csv", "new.xlsx", "new.jsonl"):
        capsys.readouterr()
        assert run(["predict", str(folder / "m"), str(folder / name)]) == 0
        printed.append(capsys.readouterr())
    assert len(printed[0].out.splitlines()) == 41
    assert printed[0].out == printed[1].out == printed[2].out
    assert all("category" not in one.err for one in printed)


def test_the_words_are_learnt_and_a_named_sheet_is_scored(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    capsys.readouterr()
    labelled = str(folder / "labelled.xlsx")
    assert run(["evaluate", str(folder / "m"), labelled, "--worksheet", "claims", "--json"]) == 0
    assert "1 empty row of sheet 'claims' was left out" in caplog.text
    scores = json.loads(capsys.readouterr().out)
    assert scores["rows"] == 40
    assert scores["values"]["balanced_accuracy"]["mean"] == 1  # on rows of the future, by a word of the text
    assert run(["evaluate", str(folder / "m"), labelled]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_inspect_says_the_split_and_the_markers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(folder / "claims.csv"), "--label", "fraud", "--time", "when", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (
        "test: 25 % of the rows (40), those from 2023-05-01 on by column 'when', which is no feature; the 120 before "
        "are of 2023-01-01 to 2023-04-30"
    ) in document["notes"]
    assert [check["code"] for check in document["checks"] if check["code"] == "LT021"] == ["LT021"]
    assert document["foldable"] is False
    assert all("--folds" not in (step["command"] or "") for step in document["advice"])
    assert all("--time when" in step["command"] for step in document["advice"] if step["command"])


@cases(
    ("name", "content", "line"),
    [
        ("t.csv", b"", "is empty (0 bytes)"),
        ("t.csv", b"age,fraud\n", "holds a header and no rows"),
        ("t.jsonl", b"", "is empty (0 bytes)"),
        ("t.jsonl", b'{"age": 1, "fraud": [1]}\n', "line 1: 'fraud' must be a number, text"),
        ("t.ndjson", b'{"age": 1, "fraud": "yes"}\n', "must have at least two classes"),
        ("t.xlsx", b"", "is empty (0 bytes)"),
        ("t.xlsx", b"PK\x03\x04" + b"\0" * 60, "is no .xlsx workbook, or damaged"),
        ("t.xlsx", b"age,fraud\n1,yes\n2,no\n", "is no .xlsx workbook, or damaged"),
        ("-\n=1+1\x1b[31m.jsonl", b'{"a": 1', "cannot be read"),
        ("t.csv.gz", b"\x1f\x8b", "ends in .gz, which is not read; known are .csv, .tsv, .parquet, .xlsx, .jsonl"),
    ],
)
def test_hostile_files_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, line: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for verb in ("inspect", "compare", "labels"):
        assert run([verb, str(path), "--label", "fraud"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        error = captured.err.splitlines()[-1]
        assert error.startswith("longtail: error: ")
        assert line in error
        assert "\x1b" not in captured.err


@cases(
    ("more", "line"),
    [
        (["--time", "note"], "time column 'note' must hold numbers, or dates"),
        (["--time", "when", "--folds", "3"], "test the past by the future, too"),
        (["--missing", ","], "must name cells"),
        (["--text", "age", "--category", "age"], "cannot be both text_columns and category_columns"),
        (["--worksheet", "a"], "read for .xlsx files"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], line: str
) -> None:
    assert run(["compare", str(folder / "claims.csv"), "--label", "fraud", "--dry-run", *more]) == 2
    error = capsys.readouterr().err.splitlines()
    assert line in error[-1]
    assert error[-1].startswith("longtail: error: ")
