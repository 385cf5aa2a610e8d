"""What a report tells to do next is a command that `longtail train` accepts, whatever the comparison was asked."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tests.cases import cases

from longtail.cli import run
from longtail.report.page.sections.next_steps import training_command

LINES = [f"{i % 7 / 7 + (i % 6 == 0):.3f},{i % 5 / 5:.3f},{'yes' if i % 6 == 0 else 'no'}" for i in range(120)]


@pytest.mark.slow
@cases(
    ("method", "options"),
    [
        ("ce", "--val 0.3 --objective f1 --positive yes --metric positive_f1 --select val"),
        ("ce", "--folds 2 --objective macro_f1"),
        ("ce", "--cost missed=5,false=1 --metric cost --positive yes"),
        ("ce", "--val 0.3 --cost missed=5,false=1 --metric cost --objective macro_f1"),
        ("ce", "--select best-test --metric positive_recall --positive yes --target-prior uniform"),
        ("ce", "--labeled 0.5"),
        ("cc", "--ambiguity 0.3"),
    ],
)
def test_the_command_that_a_report_names_is_one_that_train_accepts(
    method: str, options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))  # one for each case
    folder.mkdir()
    (folder / "rows.csv").write_text("\n".join(["a,b,fraud", *LINES]) + "\n")
    shared = ["--label", "fraud", "--epochs", "1", "--model", "linear", "--seeds", "1", "--jobs", "1"]
    words = ["compare", str(folder / "rows.csv"), *shared, "--methods", method, *options.split()]
    assert run([*words, "--out", str(folder / "c")]) == 0, capsys.readouterr().err
    command = json.loads((folder / "c" / "comparison.json").read_text())["command"]
    line = training_command(command, method, "rows")
    assert line is not None
    capsys.readouterr()
    assert run([*shlex.split(line)[1:], "--dry-run", "--json"]) == 0, (line, capsys.readouterr().err)
    planned = json.loads(capsys.readouterr().out)
    assert planned["every_row"] is True
    assert (planned["expected"] is None) == ("best-test" in options)
