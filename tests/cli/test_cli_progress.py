"""Progress while runs go on: a bar in a terminal, plain lines elsewhere, and never a word on standard output."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from longtail.cli import progress, run

QUICK = ["--methods", "logistic", "--seeds", "1", "--epochs", "2", "--jobs", "1"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw, path = np.random.default_rng(0), tmp_path_factory.mktemp("progress") / "data.npz"
    y = np.arange(60) % 2
    np.savez(path, X=draw.normal(size=(60, 4)).astype("float32") + y[:, None], y=y)
    return path


def test_without_a_terminal_lines_name_what_runs_and_stdout_is_json(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(file), *QUICK, "--json", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["metric"] == "balanced_accuracy"
    assert re.fullmatch(
        r"(longtail: comparing: 0 of 2 runs finished, running ce, seed 0, \d+ s\n)+"
        r"(longtail: comparing: 1 of 2 runs finished, running logistic, seed 0, \d+ s\n)*"  # on a busy machine
        r"longtail: comparing: 2 of 2 runs finished, \d+ s\n", err
    )  # fmt: skip


def test_of_a_training_epochs_are_counted(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", str(file), "--method", "ce", "--epochs", "3", "--out", str(tmp_path / "m")]
    assert run(command) == 0
    err = capsys.readouterr().err
    assert re.match(r"longtail: training ce: 1 of 3 epochs finished, loss \d\.\d{3}, \d+ s\n", err)
    assert re.search(r"longtail: training ce: 3 of 3 epochs finished, \d+ s\n$", err)
    assert run(command) == 0  # finished: nothing is trained
    assert capsys.readouterr().err == ""


def test_what_is_refused_is_one_line_alone(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", str(file), "--method", "ce", "--out", str(tmp_path / "m"), "--epochs"]
    assert run([*train, "1"]) == 0
    capsys.readouterr()
    assert run([*train, "2"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["compare", str(tmp_path / "none.npz"), *QUICK]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_lines_come_now_and_then_and_say_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.05)
    monkeypatch.setattr(progress, "LATER", 0.1)

    def printed(until: str) -> str:
        text, end = "", time.monotonic() + 5
        while until not in text and time.monotonic() < end:
            text += capsys.readouterr().err
            time.sleep(0.01)
        return text

    def outcome(task: Any, error: str | None = None) -> SimpleNamespace:
        return SimpleNamespace(task=task, error=error)

    tasks = [SimpleNamespace(spec=spec, seed=0, finished=spec == "ce") for spec in ("ce", "ldam", "focal")]
    with progress.comparison_callbacks("comparing") as on:
        assert "longtail: comparing: reading the data, 0 s" in printed("reading")
        on["on_plan"](SimpleNamespace(tasks=tasks))
        on["on_begin"](tasks[1])
        on["on_begin"](tasks[2])
        assert "1 of 3 runs finished, running ldam, seed 0 and 1 more, 0 s" in printed("and 1 more")
        on["on_result"](outcome(tasks[1], "ValueError: no"))
        assert printed("FAILED").count("FAILED ldam, seed 0: ValueError: no\n") == 1
        assert "1 of 3 runs finished, running focal, seed 0, 0 s" in printed("running focal")
        on["on_result"](outcome(tasks[2]))
        assert "2 of 3 runs finished, computing the table" in printed("computing")
    assert capsys.readouterr().err.endswith("longtail: comparing: 2 of 3 runs finished, 0 s\n")


def test_lines_have_no_control_characters_and_names_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.comparison_callbacks("comparing") as on:
        task = SimpleNamespace(spec="a\x1b[31m", seed=0, finished=False)
        on["on_plan"](SimpleNamespace(tasks=[task]))
        on["on_begin"](task)
    assert "\\x1b[31m" in (err := capsys.readouterr().err)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", err)


@pytest.mark.slow
def test_a_terminal_gets_a_bar_with_the_name(file: Path, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    code = "import sys; from longtail.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "compare", str(file), *QUICK, "--json", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    out = child.communicate()[0]
    os.close(leader)
    assert child.returncode == 0, shown
    json.loads(out)
    assert b"comparing: reading the data" in shown
    assert b"running ce, seed 0" in shown
