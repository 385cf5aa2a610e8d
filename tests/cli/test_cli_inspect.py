"""`longtail inspect`: what it prints and where, rules for CI, and names that are hostile."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from tests.cases import cases

from longtail.cli import run
from longtail.inspection import rules

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clean data and with data in which problems are planted."""
    monkeypatch.chdir(tmp_path)
    y = np.repeat([0, 1, 2], [80, 60, 50])
    X = np.random.default_rng(0).normal(size=(len(y), 3))
    np.savez("clean.npz", X=X, y=y)
    X = np.column_stack([X, np.ones(len(y))])
    X[1] = X[0]
    X[90, :], X[91, :] = X[150, :], X[150, :]
    names = np.array(["cat", "Cat", "dog"])
    np.savez("planted.npz", X=X, y=names[y])
    return tmp_path


class TestFailOn:
    def test_clean_data_break_no_rule(self, here: Path, capsys: Capture) -> None:
        every = ",".join([*rules.COUNTED, "ratio>100", "gini>0.8", "min-count<5"])
        assert run(["inspect", "clean.npz", "--fail-on", every]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert "Found" not in out

    @pytest.mark.parametrize(
        ("rule", "line"),
        [
            ("duplicates", "duplicates: 3 rows are copies of another row"),
            ("conflicts", "conflicts: 3 rows have an equal row under another label"),
            ("twins", "twins: 1 set of class names differs by a typing error only"),
            ("constant", "constant: 1 column holds one value"),
            ("ratio>1", "ratio>1: the imbalance ratio is 1.57895"),
            ("gini>=0.1", "gini>=0.1: the Gini coefficient of the class sizes is 0.102564"),
            ("min-count < 51", "min-count < 51: the smallest class, all parts together, is 50"),
            ("duplicates>2", "duplicates>2: 3 rows are copies of another row"),
        ],
    )
    def test_a_broken_rule_is_one_line_and_exit_code_1(self, here: Path, capsys: Capture, rule: str, line: str) -> None:
        assert run(["inspect", "planted.npz", "--fail-on", rule]) == 1
        out, err = capsys.readouterr()
        assert err.startswith(f"longtail: rule broken: {line}")
        assert err.count("\n") == 1
        assert "Found" in out

    def test_each_broken_rule_has_its_line_and_json_has_them_too(self, here: Path, capsys: Capture) -> None:
        asked = "duplicates>3,ratio>100,group-leaks,unreadable,singletons,leaking-columns>1"
        assert run(["inspect", "planted.npz", "--fail-on", asked]) == 0
        assert capsys.readouterr().err == ""
        assert run(["inspect", "planted.npz", "--json", "--fail-on", f"constant,{asked},twins"]) == 1
        out, err = capsys.readouterr()
        assert [line.split(": ")[2] for line in err.splitlines()] == ["constant", "twins"]
        assert [line.split(": ")[0] for line in json.loads(out)["broken_rules"]] == ["constant", "twins"]

    @cases(
        ("rule", "expected"),
        [
            ("duplicate", "did you mean duplicates?"),
            ("everything", "rules are duplicates, conflicts, leaks"),
            ("", "rules are duplicates"),
            ("duplicates,", "got ''"),
            ("ratio", "write ratio>100"),
            ("ratio>", "must be compared with a number >= 0, got 'ratio>'"),
            ("ratio>nan", "must be compared with a number"),
            ("ratio=5", "got 'ratio=5'"),
            ("gini>-1", "must be compared with a number"),
            ("min-count<5<6", "must be compared with a number"),
        ],
    )
    def test_an_unknown_rule_is_refused_before_data_are_read(
        self, here: Path, capsys: Capture, rule: str, expected: str
    ) -> None:
        assert run(["inspect", "not-there.npz", "--fail-on", rule]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("longtail: error: --fail-on ")
        assert err.count("\n") == 1
        assert expected in err

    def test_a_bound_on_a_class_that_training_does_not_have_is_still_a_bound(self) -> None:
        rule = rules.parse_rules("ratio>100")
        assert rules.broken_rules(rule, {"imbalance_ratio": None, "counts_known": True}) == [
            "ratio>100: the imbalance ratio is inf"
        ]


class TestOutput:
    def test_findings_and_what_to_try(self, here: Path, capsys: Capture) -> None:
        assert run(["inspect", "planted.npz"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert (
            out.index("imbalance ratio")
            < out.index("█")
            < out.index("\nFound\n")
            < out.index("What to do, in this order")
        )
        flat = " ".join(out.split())
        assert "3 rows are copies of another (1.6 % of all; 2 sets of equal rows, the largest of 3)" in flat
        assert "'Cat', 'cat' are one class name but for case" in flat
        assert "1 column holds one value in at least 99.9 % of the rows: 'feature 3'" in flat

    def test_json_stands_alone_and_keeps_names_as_they_are(self, here: Path, capsys: Capture) -> None:
        assert run(["inspect", "planted.npz", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["classes"] == ["Cat", "cat", "dog"]
        assert result["broken_rules"] == []
        assert result["schema"] == 1

    def test_svg_is_written_whole(self, here: Path, capsys: Capture) -> None:
        assert run(["inspect", "clean.npz", "--svg", "sizes.svg"]) == 0
        assert ElementTree.fromstring((here / "sizes.svg").read_text()).tag.endswith("svg")
        assert sorted(p.name for p in here.iterdir()) == ["clean.npz", "planted.npz", "sizes.svg"]

    def test_a_picture_without_matplotlib_is_refused_before_data_are_read(
        self, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        assert run(["inspect", "not-there.npz", "--svg", "sizes.svg"]) == 2
        error = "--svg needs matplotlib, which is not installed; install longtail[report] or leave out --svg"
        assert capsys.readouterr().err == f"longtail: error: {error}\n"
        assert run(["inspect", "clean.npz"]) == 0
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("svg", ["nowhere/sizes.svg", ".", "clean.npz/sizes.svg"])
    def test_a_picture_that_cannot_be_written_is_refused_before_data_are_read(
        self, here: Path, capsys: Capture, svg: str
    ) -> None:
        assert run(["inspect", "not-there.npz", "--svg", svg]) == 2
        assert "--svg must name a file in a folder that can be written" in capsys.readouterr().err


HOSTILE = [
    "\x1b[31mred",
    "[bold]b[/bold]",
    ":bug:",
    "<b>&",
    "\u202eevil",
    "x" * 300,
    "line\nbreak",
    "=1+1",
    "nan",
    "猫",
]


class TestHostileNames:
    def test_obey_nobody(self, here: Path, capsys: Capture) -> None:
        y = np.repeat(np.arange(len(HOSTILE)), 8)
        X = np.random.default_rng(0).normal(size=(len(y), 2))
        np.savez("hostile.npz", X=X, y=np.array(HOSTILE)[y])
        assert run(["inspect", "hostile.npz", "--svg", "h.svg"]) == 0
        out = capsys.readouterr().out
        assert not {c for c in out if c in "\x1b\u202e"}
        for text in (r"\x1b[31mred", "[bold]b[/bold]", ":bug:", "<b>&", r"\u202eevil", r"line\nbreak", "=1+1", "nan"):
            assert text in out
        assert "x" * 40 not in out
        assert "[bold]b[/bold]" in " ".join(ElementTree.fromstring((here / "h.svg").read_text()).itertext())
        assert run(["inspect", "hostile.npz", "--json"]) == 0
        assert sorted(json.loads(capsys.readouterr().out)["classes"]) == sorted(HOSTILE)

    @pytest.mark.slow
    def test_a_terminal_that_knows_only_ascii_shows_them_too(self, here: Path) -> None:
        y = np.repeat([0, 1], 20)
        np.savez("cats.npz", X=np.random.default_rng(0).normal(size=(40, 2)), y=np.array(["猫", "naïve"])[y])
        process = subprocess.run(
            [sys.executable, "-m", "longtail", "inspect", "cats.npz"],
            capture_output=True, check=False, env={**__import__("os").environ, "PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        assert rb"\u732b" in process.stdout
        assert b"####" in process.stdout


def test_files_that_cannot_be_read_are_reported_and_not_refused(here: Path, capsys: Capture) -> None:
    pytest.importorskip("datasets")
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (here / "photos" / name).mkdir(parents=True)
        for i in range(12):
            image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(f"photos/{name}/{i}.png")
    (here / "photos" / "cat" / "0.png").write_bytes(b"\x89PNG broken")
    (here / "photos" / "dog" / "1.png").write_bytes((here / "photos" / "cat" / "1.png").read_bytes())
    assert run(["inspect", "photos", "--json", "--fail-on", "unreadable,conflicts"]) == 1
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["kind"] == "images"
    assert result["unreadable"] == {"files": 1, "examples": ["cat/0.png"]}
    assert result["duplicates"]["examples"] == [["cat/1.png", "dog/1.png"]]
    assert "rule broken: unreadable: 1 file cannot be read" in err
    assert "rule broken: conflicts: 2 rows" in err


def test_a_table_is_inspected_with_its_columns_and_its_declared_split(here: Path, capsys: Capture) -> None:
    pytest.importorskip("datasets")
    lines = ["amount,patient,part,label"]
    lines += [
        f"{i * 37 % 101}.5,p{i // 2},{'test' if i % 4 > 1 else 'train'},{'ab'[i % 8 in (5, 6)]}" for i in range(80)
    ]
    lines += ["0.5,p0,test,a"]
    (here / "t.csv").write_text("\n".join(lines) + "\n")
    command = ["inspect", "t.csv", "--label", "label", "--split", "part", "--group", "patient"]
    assert run([*command, "--json", "--fail-on", "leaks,group-leaks"]) == 1
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["declared_split"]
    assert result["columns"]["names"] == ["amount"]
    assert result["leaks"]["examples"] == [["row 0", "row 80"]]
    assert result["group_leaks"] == {"groups": 1, "examples": [["row 0", "row 80"]]}
    assert err.count("rule broken") == 2


def table_of_row_numbers(path: Path) -> None:
    """A table sorted by class with a column of row numbers, whose name a shell must have quoted."""
    draw = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [120, 40, 10])
    rows = [
        f"{i + 1},{x:.3f},{z:.3f},{c}" for i, (x, z, c) in enumerate(zip(*draw.normal(size=(2, 170)), y, strict=True))
    ]
    path.write_text("\n".join(["row id,x,z,label", *rows]) + "\n")


class TestOneOrderedAdvice:
    """First this, then that: numbered, nothing that calls itself first twice, every command whole and right."""

    def test_is_numbered_and_its_commands_are_on_lines_of_their_own(self, here: Path, capsys: Capture) -> None:
        pytest.importorskip("datasets")
        table_of_row_numbers(here / "t.csv")
        assert run(["inspect", "t.csv", "--label", "label"]) == 0
        advice = capsys.readouterr().out.split("What to do, in this order\n")[1]
        assert [line.split(".")[0] for line in advice.splitlines() if line[1:3] == ". "][:3] == ["1", "2", "3"]
        assert [line.strip() for line in advice.splitlines() if line.startswith("   longtail")] == [
            "longtail inspect t.csv --label label --drop 'row id'",
            "longtail compare t.csv --label label --drop 'row id' --methods ce,logit-adjusted-posthoc,estimators "
            "--folds 5",
            "longtail compare t.csv --label label --drop 'row id' --methods quick --folds 5",
        ]
        assert " first" not in advice

    @pytest.mark.slow
    @pytest.mark.parametrize("data", ["table", "rare", "split", "thinned", "three"])
    def test_its_commands_are_accepted(self, here: Path, capsys: Capture, data: str) -> None:
        pytest.importorskip("datasets")
        draw = np.random.default_rng(0)
        command = ["inspect", f"{data}.npz", "--json"]
        if data == "table":
            table_of_row_numbers(here / "t.csv")
            command = ["inspect", "t.csv", "--label", "label", "--json"]
        elif data == "split":
            y = np.repeat([0, 1], [60, 4])
            X = draw.normal(size=(64, 2)).astype(np.float32)
            np.savez("split.npz", X=X, y=y, X_test=X[::2] + 1, y_test=y[::2])
        else:
            y = np.repeat(np.arange(3), {"rare": (1500, 70, 0), "thinned": (90, 80, 70), "three": (900, 90, 70)}[data])
            np.savez(f"{data}.npz", X=draw.normal(size=(len(y), 2)), y=y)
        command += ["--ratio", "20"] if data == "thinned" else []
        assert run(command) == 0
        commands = [step["command"] for step in json.loads(capsys.readouterr().out)["advice"] if step["command"]]
        assert any("--val 0.2" in c for c in commands) == (data in ("rare", "three"))
        assert any("--folds 5" in c for c in commands) == (data == "table")
        for line in commands:
            words = shlex.split(line)[1:]
            assert run([*words, *(["--dry-run"] if words[0] == "compare" else [])]) == 0, capsys.readouterr().err


@pytest.mark.slow
def test_compare_says_on_standard_error_what_inspect_finds(here: Path) -> None:
    pytest.importorskip("datasets")
    table_of_row_numbers(here / "t.csv")
    asked = "compare t.csv --label label --methods ce --seeds 1 --epochs 1 --jobs 1 --out out --json"
    command = [sys.executable, "-m", "longtail", *asked.split()]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    first, second = process.stderr.splitlines()[:2]
    assert first.startswith("column 'row id' numbers the rows (1, 2, 3, ...) and predicts the class (")
    assert second.startswith("1 class has fewer than 10 test examples: ")
    assert first in json.loads(process.stdout)["data"]["notes"]
    assert first in (here / "out" / "comparison.md").read_text()
