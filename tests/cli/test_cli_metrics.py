"""The metric, its class, costs and decisions on the command line: the same runs, asked again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from longtail.cli import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("metrics")
    y = np.repeat([0, 1, 2], [60, 24, 12])
    np.savez(place / "data.npz", X=np.random.default_rng(0).normal(size=(96, 3)) + y[:, None], y=y)
    (place / "costs.csv").write_text(",0,1,2\n0,0,1,1\n1,1,0,1\n2,8,8,0\n")
    (place / "prior.json").write_text('{"0": 0.2, "1": 0.2, "2": 0.6}')
    return place


def compare(folder: Path, *options: str) -> int:
    plain = ["compare", str(folder / "data.npz"), "--methods", "ce,logit-adjusted", "--seeds", "1", "--epochs", "1"]
    return run([*plain, "--val", "0.3", "--model", "linear", "--jobs", "1", "--out", str(folder / "out"), *options])


def test_the_same_folder_answers_every_question(folder: Path, capsys: Capture) -> None:
    assert compare(folder) == 0
    before = {path: path.stat().st_mtime_ns for path in folder.glob("out/*/seed-0/run.json")}
    said = {
        ("--metric", "positive_average_precision", "--positive", "1"): "The class that is meant: '1'.",
        ("--metric", "cost", "--cost", "missed=5"): "Decided for: least expected cost",
        ("--metric", "cost", "--cost", str(folder / "costs.csv")): "cost per row",
        ("--objective", "macro_f1"): "Decided for: macro_f1, chosen for each run on its validation rows",
        ("--target-prior", str(folder / "prior.json")): "Probabilities are under the prior 0 0.2, 1 0.2, 2 0.6",
    }
    for options, line in said.items():
        capsys.readouterr()
        assert compare(folder, *options) == 0
        assert line in " ".join(capsys.readouterr().out.split())
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_file_of_costs_is_that_matrix(folder: Path, capsys: Capture) -> None:
    assert compare(folder, "--metric", "cost", "--cost", str(folder / "costs.csv"), "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["question"]["cost"] == [[0, 1, 1], [1, 0, 1], [8, 8, 0]]
    assert not summary["question"]["higher_is_better"]
    assert all(0 <= row["metrics"]["cost"]["mean"] <= 8 for row in summary["rows"])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--metric", "positive_recal"], "did you mean positive_recall"),
        (["--positive", "9"], "positive must be a class, got '9'"),
        (["--metric", "cost"], "metric cost needs what mistakes cost, got nothing; add --cost"),
        (["--cost", "missed=-1"], "missed of cost must be a number >= 0, got '-1'"),
        (["--cost", "nowhere.csv"], "cost must be a file of costs or text such as"),
        (["--objective", "recall>=2"], "recall of objective 'recall>=2' must be in (0, 1]"),
        (["--cost", "missed=2", "--objective", "f1"], "cost has no use with objective f1 and metric balanced_accuracy"),
        (["--target-prior", "0=1"], "must name every class once, but '1' has no share"),
    ],
)
def test_what_cannot_be_judged_is_one_line(folder: Path, capsys: Capture, options: list[str], line: str) -> None:
    assert compare(folder, *options) == 2
    err = capsys.readouterr().err.splitlines()
    errors = [text for text in err if text.startswith("longtail: error: ")]
    assert len(errors) == 1
    assert line in errors[0]
