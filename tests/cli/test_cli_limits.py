"""What cannot be meant is refused at once, in one short line of visible characters, on any terminal."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cases import cases

from longtail import load as load_model
from longtail.cli import run
from longtail.facts.paths import check_not_data, named_path

Capture = pytest.CaptureFixture[str]
TABLE = "label,size\n" + "".join(f"{'ab'[i % 2]},{i % 7}\n" for i in range(60))
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    y = np.repeat([0, 1, 2], [40, 16, 8])
    X = np.random.default_rng(0).normal(size=(64, 3)) + y[:, None]
    np.savez("good.npz", X=X, y=y)
    np.savez("dates.npz", X=X, y=y + 2026010100017)
    np.savez("short.npz", X=X[:60], y=y)
    Path("tables").mkdir()
    Path("tables/t.csv").write_text(TABLE)
    return tmp_path


def refused(capsys: Capture, arguments: list[str], *expected: str) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("longtail: error: ")
    assert err.count("\n") == 1
    assert len(err) < 1100
    assert err.strip().isprintable()
    for text in expected:
        assert text in err


def test_labels_that_are_identifiers_are_no_indices(here: Path, capsys: Capture) -> None:
    refused(capsys, ["compare", "dates.npz"], "dates.npz: labels must be class indices", "2026010100019", "str")


def test_the_file_with_too_few_rows_is_named(here: Path, capsys: Capture) -> None:
    refused(capsys, ["compare", "short.npz"], "short.npz: features and labels must have the same length, got 60 and 64")


def test_twenty_million_seeds_are_not_meant(here: Path, capsys: Capture) -> None:
    refused(capsys, ["compare", "good.npz", "--seeds", "20000000"], "seeds must be at most 1000")


@pytest.mark.parametrize("name", ["d.csv", "d.npz", "d.npy", "d.parquet"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_what_is_no_file_is_not_opened(name: str, kind: str, here: Path, capsys: Capture) -> None:
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(name)
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda at: os.symlink("/dev/zero", at)}.get(kind, str)(name)
    refused(capsys, ["inspect", name, *(["--label", "label"] if name != "d.npz" else [])], name)


def test_a_model_is_not_read_from_a_pipe(here: Path, capsys: Capture) -> None:
    Path("model").mkdir()
    os.mkfifo("model/meta.json")
    refused(capsys, ["predict", "model", "good.npz"], "meta.json", "no regular file")
    with pytest.raises(ValueError, match="is not a folder"):
        load_model("m" * 9000)


@pytest.mark.parametrize("out", ["tables", "tables/runs", "link/runs", "tables/../tables/x"])
@pytest.mark.parametrize("verb", ["compare", "train"])
def test_an_output_is_not_written_into_the_data(verb: str, out: str, here: Path, capsys: Capture) -> None:
    Path("link").symlink_to("tables")
    refused(capsys, [verb, "tables", "--label", "label", "--out", out], "--out")
    assert os.listdir("tables") == ["t.csv"]


def test_the_default_folder_is_not_inside_the_data_either(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("tables")
    refused(capsys, ["compare", ".", "--label", "label"], "'runs' lies inside the data folder", "--out")


@pytest.mark.parametrize("out", ["new.csv", "./new.csv", "link.csv", "folder/../new.csv", "hard.csv"])
def test_predictions_are_not_written_over_their_input(out: str, here: Path, capsys: Capture) -> None:
    Path("folder").mkdir()
    Path("new.csv").write_text(TABLE)
    Path("link.csv").symlink_to("new.csv")
    os.link("new.csv", "hard.csv")
    refused(capsys, ["predict", "model", "new.csv", "--out", out], "--out", "is the data, which are never overwritten")
    assert Path("new.csv").read_text() == TABLE


def test_a_picture_is_not_drawn_over_the_data(here: Path, capsys: Capture) -> None:
    refused(
        capsys,
        ["inspect", "tables/t.csv", "--svg", "tables/t.csv"],
        "--svg",
        "is the data, which are never overwritten",
    )


def test_an_output_folder_may_have_the_name_of_built_in_data(here: Path) -> None:
    Path("digits").mkdir()  # of an earlier run of the same command
    check_not_data("digits", named_path("digits"))
    with pytest.raises(ValueError, match="is the data, which are never overwritten"):
        check_not_data("digits", "digits")


@cases("echoed", ["x" * 9000, "x " * 4500, "\x1b[31m\n\u202e", "é" * 9000])
@cases("place", ["data", "--methods", "--metric", "--budget", "--label"])
def test_what_is_echoed_is_cut_and_visible(echoed: str, place: str, here: Path, capsys: Capture) -> None:
    line = ["compare", echoed] if place == "data" else ["compare", "tables/t.csv", f"{place}={echoed}"]
    refused(capsys, line)


def test_a_schedule_says_what_it_lacks(here: Path, capsys: Capture) -> None:
    refused(capsys, ["compare", "good.npz", "--methods", "absgd(lam=switch(0.8))"],
            "'switch(0.8)' must be switch(at, before, after)", "'before'")  # fmt: skip


@pytest.mark.slow
def test_a_working_directory_that_is_gone_is_one_line(here: Path) -> None:
    code = "import os, sys; os.chdir('gone'); os.rmdir('../gone'); os.execv(sys.argv[1], sys.argv[1:])"
    for entry in (["-m", "longtail"], [str(Path(sys.executable).with_name("longtail"))]):
        (here / "gone").mkdir()
        done = subprocess.run(
            [sys.executable, "-c", code, sys.executable, *entry, "compare"], cwd=here, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "the working directory is gone" in done.stderr


IN_TURN = """
import json, os, sys
from longtail.cli import run, subprocesses, terminal
subprocesses.set_safe_path()
terminal.escape_unencodable()
for i, arguments in enumerate(json.loads(os.environ["COMMANDS"])):
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"said-{i}.{name}", os.O_WRONLY | os.O_CREAT), number)
    code = run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    open(f"said-{i}.code", "w").write(str(code))
"""
"""What `main` does, for one command after another in one interpreter, whose streams are files in turn."""


def in_ascii(commands: list[list[str]]) -> list[tuple[int, bytes, bytes]]:
    """The exit code and the two streams of each command."""
    environment = {**os.environ, **ASCII, "COMMANDS": json.dumps(commands)}
    subprocess.run([sys.executable, "-c", IN_TURN], env=environment, check=True)
    return [
        (
            int(Path(f"said-{i}.code").read_text()),
            Path(f"said-{i}.out").read_bytes(),
            Path(f"said-{i}.err").read_bytes(),
        )
        for i in range(len(commands))
    ]


@pytest.mark.slow
def test_every_command_works_on_a_terminal_that_knows_only_ascii(here: Path) -> None:
    hostile = "ñ\x1b[31m\u202e한"
    Path("t.csv").write_text(TABLE.replace("a,", f"{hostile},"), encoding="utf-8")
    data = ["t.csv", "--label", "label"]
    quickly = ["--epochs", "1", "--seeds", "2", "--jobs", "1", "--methods", "ce,ldam"]
    commands = [
        ["--help"], ["compare", "--help"], ["compare", *data, *quickly, "--out", "out"],
        ["compare", *data, *quickly, "--dry-run"],
        ["train", *data, "--method", "ce", "--epochs", "1", "--out", "model"],
        ["predict", "model", "t.csv", "--out", "p.csv"], ["inspect", *data], ["methods"], ["explain", "absgd"],
        ["predict", "model", "t.csv"],
    ]  # fmt: skip
    done = in_ascii(commands)
    for arguments, (code, out, err) in zip(commands[:-1], done, strict=False):
        assert code == 0, (arguments, err)
        assert out.isascii()
        assert b"\x1b" not in out
    # what is piped on is the file itself
    assert done[-1][1] == Path("p.csv").read_bytes()
    command = [sys.executable, "-m", "longtail", "compare", "ñ.csv"]
    missing = subprocess.run(command, env={**os.environ, **ASCII}, capture_output=True)
    assert (missing.returncode, missing.stderr.count(b"\n")) == (2, 1)
    for name in ("out/comparison.md", "out/comparison.csv", "out/recall.svg"):
        text = Path(name).read_text(encoding="utf-8")
        assert not {"\x1b", "\u202e"} & set(text)
