"""`longtail predict --explain` and `longtail compare --importance` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longtail.cli import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("claims")
    draw = np.random.default_rng(0)
    fraud = np.arange(160) % 5 == 0
    table = pd.DataFrame({"amount": draw.normal(size=160) + 3 * fraud, "kind": draw.choice(["car", "home"], 160)})
    table.assign(fraud=np.where(fraud, "yes", "no")).to_csv(made / "claims.csv", index=False)
    table.to_csv(made / "new.csv", index=False)
    command = ["compare", str(made / "claims.csv"), "--label", "fraud", "--methods", "logistic", "--baseline",
               "logistic", "--seeds", "1", "--jobs", "1", "--out", str(made / "runs"), "--importance"]  # fmt: skip
    assert run(command) == 0
    return made


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert run([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("longtail: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_the_comparison_says_what_its_leader_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = json.loads((folder / "runs" / "comparison.json").read_text())["rows"]
    assert [one["column"] for one in row["importance"]["columns"]] == ["amount", "kind"]
    capsys.readouterr()
    command = ["compare", str(folder / "claims.csv"), "--label", "fraud", "--methods", "logistic", "--baseline",
               "logistic", "--seeds", "1", "--jobs", "1", "--out", str(folder / "runs")]  # fmt: skip
    assert run(command) == 0  # what was measured stays with the runs
    assert "What logistic loses of balanced accuracy, in points, by moving a column's" in capsys.readouterr().out


def test_predictions_with_the_columns_that_moved_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = next((folder / "runs").glob("logistic*/seed-0"))
    out = folder / "out.csv"
    capsys.readouterr()
    assert run(["predict", str(model), str(folder / "new.csv"), "--explain", "--top", "1", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "note: contributions are to the classifier's own score" in captured.err
    table = pd.read_csv(out)
    assert list(table.columns)[-5:] == ["score", "mean score", "feature 1", "value 1", "contribution 1"]
    assert (table["feature 1"] == "amount").mean() > 0.5
    refused(capsys, "predict", model, folder / "new.csv", "--top", "2")
    refused(capsys, "predict", model, folder / "new.csv", "--top", "3")  # the default, which was not asked for
    refused(capsys, "predict", model, folder / "new.csv", "--explain", "--top", "0")
    assert "gets embeddings" in refused(capsys, "predict", model, folder / "new.csv", "--explain", "--out", "x.npz")


def test_a_comparison_of_images_has_no_columns(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = refused(capsys, "compare", "digits", "--methods", "ce", "--importance", "--out", tmp_path / "out")
    assert "--importance" in said
    assert "columns of a table" in said
