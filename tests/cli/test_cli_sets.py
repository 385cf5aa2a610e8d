"""`longtail predict --sets`: a column of sets, what is promised on stderr and in --json, refusals in one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longtail.cli import run


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    draw = np.random.default_rng(0)
    fraud = np.arange(160) % 10 == 0
    table = pd.DataFrame({"amount": draw.normal(size=160) + 3 * fraud})
    table.assign(fraud=np.where(fraud, "yes, sure", "no")).to_csv(folder / "claims.csv", index=False)
    table.to_csv(folder / "new.csv", index=False)
    train = ["train", str(folder / "claims.csv"), "--label", "fraud", "--epochs", "2", "--model", "linear"]
    assert run([*train, "--val", "0.3", "--out", str(folder / "m")]) == 0
    assert run([*train, "--out", str(folder / "none")]) == 0
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([str(a) for a in ("predict", *arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_column_and_what_is_promised(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = claims / "out.csv"
    code, printed, notes = said(capsys, claims / "m", claims / "new.csv", "--sets", "0.9", "--out", out)
    assert code == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 160
    assert all("yes, sure" in json.loads(row["set"]) for row in rows)  # nothing is promised, so it is everywhere
    assert "note: sets promise to hold the true class of 90 % of the rows of each of these classes" in notes
    assert "too few rows to promise 90 % for class yes, sure (needs 9, has " in notes
    assert "Sets at 0.9: 1." in printed


def test_json_has_the_promise_by_class(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = claims / "out.parquet"
    code, printed, _ = said(capsys, claims / "m", claims / "new.csv", "--sets", "0.9", "--out", out, "--json")
    assert code == 0
    sets = json.loads(printed)["sets"]
    assert sets["level"] == 0.9
    assert sets["classes"]["no"]["promised"]
    assert sets["classes"]["yes, sure"] == {"n": sets["classes"]["yes, sure"]["n"], "needs": 9, "promised": False}
    assert 1 <= sets["mean_size"] <= 2
    assert {name for names in pd.read_parquet(out)["set"] for name in names} == {"no", "yes, sure"}


def test_csv_on_standard_output_has_sets_too(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, notes = said(capsys, claims / "m", claims / "new.csv", "--sets", "0.5")
    assert code == 0
    assert printed.splitlines()[0].endswith(",rule,prior,set")
    assert "promise" in notes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m", "--sets", "1"], "--sets must be > 0 and < 1, got 1.0; only the set of all classes is right for certain"),
        (["m", "--sets", "0"], "--sets must be > 0 and < 1, got 0.0; choose a share such as 0.9"),
        (["m", "--sets", "-0.1"], "--sets must be > 0 and < 1, got -0.1"),
        (["m", "--sets", "90"], "--sets must be > 0 and < 1, got 90.0"),
        (["m", "--sets", "nan"], "--sets must be finite, got nan; choose a share such as 0.9"),
        (["none", "--sets", "0.9"], "(--val 0.2, without a search or --select val), or fit lt.posthoc."),
        (["m", "--sets", "0.9", "--out", "x.npz"], "--sets are of probabilities, and an .npz gets embeddings"),
    ],
)
def test_refusals_are_one_line(
    claims: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, printed, error = said(capsys, claims / arguments[0], claims / "new.csv", *arguments[1:])
    assert (code, printed) == (2, "")
    assert error.startswith("longtail: error: ")
    assert error.count("\n") == 1
    assert message in error
