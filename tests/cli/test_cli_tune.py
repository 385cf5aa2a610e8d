"""`longtail tune` as it is typed: what it prints and writes, the command it ends with, and what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from longtail.cli import run

Capture = pytest.CaptureFixture[str]
SHORT = ["--epochs", "2", "--model", "linear", "--jobs", "1"]
ASKED = ["tune", "good.npz", "--val", "0.25", "--method", "ldam(scale=[10,30])", "--vary", "lr=[1e-6,0.5]", *SHORT]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a good data file; no picture is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("longtail.report.sensitivity_plot.svg", lambda summary: "<svg/>")
    y = np.repeat([0, 1, 2], [80, 32, 16])
    np.savez("good.npz", X=np.random.default_rng(0).normal(size=(len(y), 3)) + 2 * y[:, None], y=y)
    return tmp_path


def test_it_prints_the_candidates_and_ends_with_the_command_that_trains_the_chosen_one(capsys: Capture) -> None:
    assert run(ASKED) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["method", "recipe", "validation"]
    assert len([line for line in lines if line.startswith("ldam")]) == 4
    assert "longtail: tuning: 4 of 4 runs finished" in err
    assert "running ldam(scale=10.0), lr=1e-06, seed 0" in err
    assert lines[-2] == "Files: runs/good-tune/tune.json, .csv, .md and sensitivity.svg"
    summary = json.loads(Path("runs/good-tune/tune.json").read_text())
    chosen = summary["chosen"]
    assert chosen["recipe_changes"] == {"lr": 0.5}
    assert f"Chosen: {chosen['method']} with lr=0.5, balanced_accuracy" in out
    assert "The interval is wide enough for the best of 4 (95 %)" in out
    assert "(sensitivity.svg)" in Path("runs/good-tune/tune.md").read_text()

    following = shlex.split(lines[-1].removeprefix("Next: longtail "))
    assert following[:4] == ["train", "good.npz", "--method", chosen["method"]]
    assert "--val" not in following
    assert run([*following, "--out", "m"]) == 0
    config = json.loads(Path("m/config.json").read_text())
    assert (config["method"], config["recipe"]["lr"], config["recipe"]["epochs"]) == (chosen["method"], 0.5, 2)
    assert config["recipe"]["model"] == "linear"
    capsys.readouterr()

    assert run([*ASKED, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == summary  # nothing is trained again


def test_the_command_has_the_chosen_epochs_and_the_numbers_given(capsys: Capture) -> None:
    arguments = ["tune", "good.npz", "--inner-folds", "2", "--method", "ce", "--vary", "epochs=[1,3]", *SHORT[:4]]
    assert run([*arguments, "--set", "lr=0.5", "--jobs", "1", "--search", "coordinate"]) == 0
    following = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("Next: longtail "))
    assert "--epochs" not in following
    assert following[following.index("--set") + 1] == "lr=0.5, epochs=3"


def test_a_dry_run_counts_and_writes_nothing(capsys: Capture) -> None:
    assert run([*ASKED, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("data      good: 72 training and 24 validation rows, 3 classes; no test rows\n")
    assert "\nsearch    grid over scale, lr: 4 candidates\n" in out
    assert "\nruns      4 with 1 seed (0 finished, 4 to train), 2 epochs, 1 at a time\n" in out
    assert run([*ASKED, "--search", "coordinate", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["candidates"], plan["most"], plan["validation"], plan["seconds"] > 0) == (3, 5, 24, True)
    assert not Path("runs").exists()


def test_classes_without_validation_rows_are_named(capsys: Capture) -> None:
    y = np.repeat(["a", "b", "rare"], [60, 40, 2])
    np.savez("rare.npz", X=np.random.default_rng(0).normal(size=(len(y), 3)), y=y)
    arguments = ["tune", "rare.npz", "--val", "0.2", "--method", "ce", "--vary", "lr=[0.1,0.5]", *SHORT]
    assert run(arguments) == 0  # one row of "rare" is for testing, the other one for training
    assert "Without a validation row, 1 class(es) had no part in the choice: 'rare'." in capsys.readouterr().out


def test_a_failed_candidate_is_said_and_the_others_are_compared(capsys: Capture) -> None:
    arguments = ["tune", "good.npz", "--val", "0.25", "--method", "ce", "--vary", "lr=[0.5,1e38]", *SHORT]
    assert run(arguments) == 1
    out, err = capsys.readouterr()
    assert "FAILED ce, lr=1e+38, seed 0: FinitenessError" in err
    assert "Chosen: ce with lr=0.5" in out
    assert "\nFailed: ce with lr=1e+38, seed 0: FinitenessError" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--val", "0.2"], "--method must name what to search"),
        (["--method", "ce", "--vary", "weight_decay=[1e-4,1e-2]"], "a search needs validation rows"),
        (["--method", "ce", "--vary", "weight_decay=[]", "--val", "0.2"], "must list a value"),
        (["--method", "ldam(sale=[1,2])", "--val", "0.2"], "sale"),
        (["--method", "ldam(scale=[1,-2])", "--val", "0.2"], "scale must be"),
        (["--method", "ce", "--vary", "weight_decay=[0,-1]", "--val", "0.2"], "weight_decay must be"),
        (["--method", "ce", "--vary", "rate=[0,1]", "--val", "0.2"], "vary and set take numbers of the recipe"),
        (["--method", "ce", "--vary", "lr=log(0.01,1)", "--val", "0.2"], "must be a list for this search"),
        (["--method", "ldam(scale=[1,2])", "--val", "0.2", "--search", "best"], "search must be one of"),
        (["--method", "ce-threshold", "--vary", "lr=[0.1,1]", "--val", "0.2"], "needs the validation rows itself"),
        (["--method", "ldam(scale=[1,2])", "--val", "0.2", "--inner-folds", "2"], "cannot go with inner_folds"),
        (["--method", "ldam(scale=[1,2])", "--inner-folds", "1"], "inner_folds must be"),
        (["--method", "ce", "--val", "0.2"], 'vary the recipe: --vary "weight_decay='),
        (["--method", "ce-tuned", "--vary", "lr=[0.1,1]", "--val", "0.2"], "validation rows itself; search over ce"),
        (["--method", "logistic", "--vary", "lr=[0.1,1]", "--val", "0.2"], "vary changes nothing for method"),
        (["--method", "ldam(scale=[1,2])", "--val", "0.2", "--recipe", "own"], "recipe must be common for a search"),
        (["--method", "ldam(scale=[1,2])", "--val", "0.2", "--budget", "0s"], "--budget must be a time"),
        (["--method", "ldam(scale=[1,2])", "--val", "0.2", "--set", "lr=[1,2]"], "lr must be one number"),
        (["--method", "ldam(scale=[1,2])", "--val", "0.2", "--set", "lr=fast"], "lr must be a number"),
        (["--method", "ldam(scale=[1,2])", "--val", "0.2", "--set", "epochs=2", "--epochs", "3"], "given twice"),
    ],
)
def test_bad_input_is_one_line_before_training(capsys: Capture, arguments: list[str], expected: str) -> None:
    code = run(["tune", "good.npz", *arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("longtail: error: ")
    assert err.count("\n") == 1, err
    assert expected in err
    assert not list(Path().glob("runs/*/*"))
