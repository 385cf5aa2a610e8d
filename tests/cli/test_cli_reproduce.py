"""`longtail reproduce` and the options for CIFAR, as they are typed; ResNet-32 on a small stand-in."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tests.tiny_cifar import tiny_cifar

from longtail.cli import run
from longtail.comparison import reproduction
from longtail.comparison.benchmarks import benchmark
from longtail.engine import Recipe
from longtail.engine.default_recipe import LDAM
from longtail.facts import ledger
from longtail.methods import methods

Capture = pytest.CaptureFixture[str]
SHORT = ["--methods", "ce", "--epochs", "1", "--evaluations", "3", "--jobs", "1", "--data-dir", "data"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tiny_cifar(tmp_path, monkeypatch)
    return tmp_path


def refused(capsys: Capture, code: int, expected: str) -> None:
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("longtail: error: ")
    assert err.count("\n") == 1, err
    assert expected in err


@pytest.mark.slow
def test_it_prints_ours_beside_the_published_and_resumes(here: Path, capsys: Capture) -> None:
    assert run(["reproduce", "cifar10-lt-10", *SHORT]) == 0
    out, err = capsys.readouterr()
    assert all(line.startswith("longtail: reproducing cifar10-lt-10: ") for line in err.splitlines())
    assert out.startswith("cifar10-lt-10\nTop-1 error in %, ")
    for text in (
        "NOT THE PUBLISHED PROTOCOL (epochs 1 instead of 200)",
        "ce   last ",
        "13.61  last       Cui et al. 2019",
        "Files: runs/cifar10-lt-10/reproduction.json",
    ):
        assert text in out
    assert max(len(line) for line in out.splitlines() if line.startswith("    ")) < 160
    stamp = next(here.glob("runs/*/ce-*/seed-0/run.json")).stat()
    assert run(["reproduce", "cifar10-lt-10", *SHORT, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((here / "runs/cifar10-lt-10/reproduction.json").read_text())
    command = shlex.split(result["rows"][0]["command"])
    assert command[:3] == ["longtail", "reproduce", "cifar10-lt-10"]
    assert run([*command[1:], "--data-dir", "data", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result
    assert next(here.glob("runs/*/ce-*/seed-0/run.json")).stat() == stamp


@pytest.mark.slow
def test_a_dry_run_tells_time_and_memory_and_writes_nothing(here: Path, capsys: Capture) -> None:
    asked = ["reproduce", "cifar10-lt-10", "--data-dir", "data", "--dry-run", "--jobs", "1"]
    assert run([*asked, "--methods", "ce,ldam"]) == 0  # each of them makes its steps of ResNet-32
    out = capsys.readouterr().out
    for start in (
        "methods   ce, ldam",
        "runs      ",
        "time      about ",
        "memory    about ",
        "folder    runs/cifar10-lt-10",
    ):
        assert f"\n{start}" in out
    assert "200 epochs, 1 at a time" in out
    assert run(["reproduce", "cifar10-lt-10", *SHORT, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"] > 0
    assert not (here / "runs").exists()


COMMANDS = re.findall(r"^longtail (reproduce .*)$", (Path(__file__).parents[2] / "docs" / "cifar.md").read_text(), re.M)


class Asked(Exception):
    """What a reproduction would load and train."""


@pytest.mark.parametrize("line", [*COMMANDS, "reproduce cifar10-lt-10 --data-dir data"])  # the last of all its methods
def test_commands_of_the_documents_ask_for_published_recipes(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(data: str, **options: Any) -> None:
        raise Asked({"data": data, **{name: value for name, value in options.items() if value is not None}})

    monkeypatch.setattr(reproduction, "prepare", prepare)
    words = shlex.split(line.replace("--device cuda", ""))
    monkeypatch.setenv("LONGTAIL_DEBUG", "1")  # errors of our own reach the test
    with pytest.raises(Asked) as found:
        run([*words, "--dry-run"])
    (options,) = found.value.args
    named = benchmark(words[1])
    assert options.items() >= {name: value for name, value in named.options.items() if value is not None}.items()
    given = {name: value for name, value in options.items() if name in {field.name for field in fields(Recipe)}}
    recipe = replace(LDAM, **given)
    assert recipe == (replace(LDAM, epochs=20) if words[1] == "cifar10-lt-100" else named.recipe)
    task = {None: "supervised"}.get(named.labeled, "semi-supervised") if named.ambiguity is None else "partial"
    assert {one.task for one in methods(options["methods"])} == {task}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["cifar10-lt-1000"], "did you mean 'cifar10-lt-100'?"),
        (["cifar10-lt-10", "--data-dir", "nowhere"], "is not a folder"),
        (["cifar100-lt-10", "--data-dir", "data"], "is not cifar100"),
        (["cifar10-lt-10", "--data-dir", "data", "--recipe", "mine"], "--recipe must be common or own, got 'mine'"),
        (["cifar10-lt-10", "--data-dir", "data", "--precision", "half"], "precision must be one of auto, float32"),
        (["cifar10-lt-10", "--data-dir", "data", "--evaluations", "0"], "evaluations must be an integer >= 1, got 0"),
        (["cifar10-lt-10", "--data-dir", "data", "--methods", "nothing"], "unknown method 'nothing'"),
        (["cifar10-lt-100", "--data-dir", "data"], "would have no example at this ratio"),
    ],
)
def test_bad_input_is_one_line(here: Path, capsys: Capture, arguments: list[str], expected: str) -> None:
    refused(capsys, run(["reproduce", *arguments]), expected)
    assert not (here / "runs").exists()


@pytest.mark.slow
def test_compare_and_train_take_the_same_options(here: Path, capsys: Capture) -> None:
    common = ["--data-dir", "data", "--ratio", "10", "--epochs", "2", "--model", "linear", "--precision", "float32"]
    more = ["--recipe", "own", "--evaluations", "2"]
    compared = ["compare", "cifar10", *common, *more, "--seeds", "1", "--jobs", "1", "--methods", "ldam,logit-adjusted"]
    assert run(compared) == 0
    out = capsys.readouterr().out
    assert "logit-adjusted †" in out
    assert "† trained under its own paper's recipe, not comparable" in " ".join(out.split())
    assert run([*compared, "--dry-run"]) == 0
    assert "(3 finished, 0 to train" in capsys.readouterr().out
    assert run(["train", "cifar10", *common, *more, "--method", "logit-adjusted", "--out", "m"]) == 0
    config = json.loads((here / "m" / "config.json").read_text())
    assert config["recipe"]["weight_decay"] == 1e-4
    assert (config["recipe"]["kind"], config["precision"]) == ("own", "float32")
    records = [json.loads(line) for line in (here / "m" / "metrics.jsonl").read_text().splitlines()]
    assert ["scores" in record for record in records] == [True, True]
    capsys.readouterr()
    for verb in ("compare", "train"):
        refused(capsys, run([verb, "cifar10", "--recipe", "mine"]), "--recipe must be common or own, got 'mine'")
        refused(capsys, run([verb, "digits", "--data-dir", "data"]), "is read for cifar10 and cifar100, not for digits")
        refused(capsys, run([verb, "digits", "--evaluations", "0"]), "evaluations must be an integer >= 1")
    assert run(["train", "cifar10", *common[:6], "--method", "ce", "--out", "default"]) == 0
    assert json.loads((here / "default" / "config.json").read_text())["recipe"]["model"] == "resnet32"
    capsys.readouterr()
    assert run(["inspect", "cifar10", "--data-dir", "data", "--ratio", "10"]) == 0
    assert "10 classes of 20 to 2" in capsys.readouterr().out


@pytest.mark.slow
def test_explain_shows_published_numbers_and_ours(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["explain", "ldam-drw"]) == 0
    out = capsys.readouterr().out
    assert "Published top-1 error on the balanced test set, %. = comparable with ours, ≠ not comparable" in out
    words = "= 22.97 Cao et al. 2019, table 2 (best-test) · = 22.03 Wang et al. 2023"
    assert re.search(rf"^  cifar10-lt-100 +{re.escape(words)}", out, re.MULTILINE)
    assert "\nNot comparable with longtail reproduce:\n  ≠ Wang et al. 2023, README, weight decay tuned: weight" in out
    assert run(["reproduce", "cifar10-lt-10", *SHORT, "--out", "out"]) == 0
    rows = json.loads((here / "out" / "reproduction.json").read_text())["rows"]
    monkeypatch.setattr(ledger, "measured", lambda: tuple(rows))
    capsys.readouterr()
    assert run(["explain", "ce"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"^  cifar10-lt-10 +last {rows[0]['last']['mean']:.2f}, best-test", out, re.MULTILINE)
    assert "; not the published protocol" in out
    assert run(["explain", "ce", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"] == rows
    assert run(["explain", "small-loss"]) == 0
    assert "Published" not in capsys.readouterr().out
