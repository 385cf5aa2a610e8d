"""The command line: what it prints, where, and with which exit code; bad input is one line."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cases import cases

from longtail import __version__
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.cli import run
from longtail.methods import registry as catalog

Capture = pytest.CaptureFixture[str]
QUICKLY = ["--epochs", "2", "--seeds", "1", "--jobs", "1", "--model", "linear"]


def arrays(counts: tuple[int, ...] = (40, 16, 8)) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).normal(size=(len(y), 3)) + y[:, None], y


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a good data file."""
    monkeypatch.chdir(tmp_path)
    X, y = arrays()
    np.savez("good.npz", X=X, y=y)
    return tmp_path


def compare(*arguments: str, data: str = "good.npz", methods: str = "ce,ldam") -> int:
    return run(["compare", data, "--methods", methods, *QUICKLY, *arguments])


def refused(capsys: Capture, code: int, expected: str) -> str:
    """Exit code 2, nothing on standard output, one line on standard error; that line."""
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("longtail: error: ")
    assert err.count("\n") == 1, err
    assert expected in err
    return err


class TestGoodInput:
    def test_compare_prints_the_table_the_picture_and_the_verdict(self, here: Path, capsys: Capture) -> None:
        assert compare("--out", "out", "--report", methods="ce,ldam,logit-adjusted-posthoc") == 0
        out, err = capsys.readouterr()
        assert out.startswith("method")
        for text in (
            "bal. acc.",
            "vs ce",
            "ldam",
            "class  examples  tested    recall, %",
            "48 training examples, 3 classes",
        ):
            assert text in out
        assert "beat ce" in out
        assert "Files: out/comparison.json" in out
        assert "longtail: error" not in err
        assert (here / "out" / "comparison.md").exists()
        assert " and report.html" in out
        assert "Which method helps on good?" in (here / "out" / "report.html").read_text()

    def test_another_baseline_is_the_reference_and_a_twin_has_its_column(self, here: Path, capsys: Capture) -> None:
        trees, weighted = "trees(max_iter=3)", "trees-cw(max_iter=3)"
        methods = f"{weighted},logistic-posthoc"
        assert compare("--out", "out", "--baseline", trees, methods=methods) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert f"vs {trees} vs twin" in out
        assert "Of the one method whose plain twin is not trees(max_iter=3), " in out
        assert compare("--out", "out", "--dry-run", "--json", methods=methods) == 0
        assert json.loads(capsys.readouterr().out)["methods"] == [trees, weighted, "logistic", "logistic-posthoc"]
        assert compare("--out", "out", "--json", methods=methods) == 0
        assert json.loads(capsys.readouterr().out)["reference"] == trees

    def test_two_classes_have_no_groups_and_still_a_gain(self, here: Path, capsys: Capture) -> None:
        X, y = arrays((40, 16))
        np.savez("two.npz", X=X, y=y)
        assert compare("--out", "out", data="two.npz", methods="ce,logit-adjusted-posthoc") == 0
        out = capsys.readouterr().out
        assert out.splitlines()[0].split() == ["method", "bal.", "acc.", "‡", "vs", "ce", "accuracy", "ECE", "seconds"]
        assert "recall of the rarest class " in " ".join(out.split())
        assert "medium" not in (here / "out" / "comparison.md").read_text()
        assert "medium" in (here / "out" / "comparison.csv").read_text().splitlines()[0]
        summary = json.loads((here / "out" / "comparison.json").read_text())
        rows = {row["method"]: row for row in summary["rows"]}
        assert rows["ce"]["mean"]["medium"] is None
        assert summary["gain"]["few"] == [rows[m]["recall"][1] for m in ("ce", "logit-adjusted-posthoc")]
        assert summary["gain"]["many"] == [rows[m]["recall"][0] for m in ("ce", "logit-adjusted-posthoc")]

    def test_piped_output_has_no_colours(self, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
        for variable in ("1", None):
            monkeypatch.delenv("NO_COLOR", raising=False)
            if variable:
                monkeypatch.setenv("NO_COLOR", variable)
            for verb in (["compare", "good.npz", *QUICKLY], ["inspect", "good.npz"], ["methods"], ["explain", "ldam"]):
                assert run(verb) == 0
                assert "\x1b" not in "".join(capsys.readouterr())

    def test_nothing_in_square_brackets_is_swallowed(self, here: Path, capsys: Capture) -> None:
        X, y = arrays()
        np.savez("marked.npz", X=X, y=np.array(["[red]a", "[b]", "c[/b]"])[y])
        assert compare("--out", "[bold]", data="marked.npz") == 0
        out = capsys.readouterr().out
        for text in ("[red]a", "[b]", "c[/b]", "[bold]/comparison.json"):
            assert text in out
        assert run(["inspect", "marked.npz"]) == 0
        assert "[red]a" in capsys.readouterr().out

    def test_json_stands_alone_on_standard_output(self, here: Path, capsys: Capture) -> None:
        assert compare("--json") == 0
        summary = json.loads(capsys.readouterr().out)
        assert {row["method"] for row in summary["rows"]} == {"ce", "ldam"}
        words = shlex.split(summary["command"])
        assert words[:3] == ["longtail", "compare", "good.npz"]
        assert words[-1] == "--json"
        assert json.loads((here / "runs" / "good" / "comparison.json").read_text()) == summary
        verbs: list[tuple[list[str], str]] = [
            (["train", "good.npz", "--method", "ldam", "--epochs", "2", "--model", "linear"], "scores"),
            (["inspect", "good.npz"], "class_counts"),
            (["explain", "ldam-drw"], "bibtex"),
            (["compare", "good.npz", "--dry-run", *QUICKLY], "trainings"),
            (["train", "good.npz", "--dry-run"], "epochs"),
        ]
        for verb, key in verbs:
            assert run([*verb, "--json"]) == 0, verb
            assert key in json.loads(capsys.readouterr().out), verb
        assert run(["methods", "--json"]) == 0
        assert [row["method"] for row in json.loads(capsys.readouterr().out)] == list(catalog.CATALOG)

    def test_a_dry_run_says_what_would_run_and_writes_nothing(self, here: Path, capsys: Capture) -> None:
        before = sorted(here.rglob("*"))
        assert compare("--dry-run", methods="ldam,logit-adjusted-posthoc") == 0
        out = capsys.readouterr().out
        assert "methods   ce, ldam, logit-adjusted-posthoc" in out
        assert "runs      3 with 1 seed (0 finished, 2 to train, the others share a training)" in out
        assert ", less than 1 s a training" in out
        assert "folder    runs/good" in out
        assert compare("--dry-run", methods="ldam") == 0
        assert "(0 finished, 2 to train), " in capsys.readouterr().out
        assert run(["train", "good.npz", "--dry-run"]) == 0
        assert "would train logit-adjusted, seed 0" in capsys.readouterr().out
        assert sorted(here.rglob("*")) == before

    def test_train_leaves_a_model_and_resumes(self, here: Path, capsys: Capture) -> None:
        command = [
            "train",
            "good.npz",
            "--method",
            "ldam(scale=20)",
            "--epochs",
            "2",
            "--model",
            "linear",
            "--out",
            "m",
        ]
        assert run(command) == 0
        assert "ldam(scale=20.0) on good, seed 0: balanced accuracy" in capsys.readouterr().out
        stamp = (here / "m" / "run.json").stat().st_mtime_ns
        assert run(command) == 0
        assert (here / "m" / "run.json").stat().st_mtime_ns == stamp

    def test_inspect_draws_the_tail(self, here: Path, capsys: Capture) -> None:
        assert run(["inspect", "good.npz"]) == 0
        out = capsys.readouterr().out
        assert "48 training examples, 3 classes of 30 to 6, imbalance ratio 5" in out
        assert out.index("\n0 ") < out.index("\n1 ") < out.index("\n2 ")

    def test_explain_tells_equation_knobs_paper_and_citation(self, capsys: Capture) -> None:
        assert run(["explain", "ldam-drw(scale=20)"]) == 0
        out = capsys.readouterr().out
        for text in ("ldam-drw(scale=20.0): ", "max_margin", "(>= 0)", "Cao et al. 2019", "@inproceedings{cao2019"):
            assert text in out

    def test_a_class_with_one_example_is_no_error_and_the_table_says_what_is_not_measured(
        self, here: Path, capsys: Capture
    ) -> None:
        X, y = arrays((40, 16, 1))
        np.savez("single.npz", X=X, y=np.array(["cat", "dog", "yak"])[y])
        assert compare("--val", "0.2", data="single.npz", methods="quick") == 0
        out = capsys.readouterr().out
        assert "without a test example, 1 of 3 classes cannot be measured: yak" in out
        line = next(line for line in out.splitlines() if line.startswith("yak"))
        assert line.split()[-1] == "–"
        assert "ce-threshold" in out

    def test_version_and_help(self, capsys: Capture) -> None:
        assert run(["--version"]) == 0
        assert capsys.readouterr().out == f"longtail {__version__}\n"
        assert run(["--help"]) == 0
        assert "Exit codes" in capsys.readouterr().out

    @pytest.mark.parametrize("verb", ["compare", "train", "inspect", "methods", "explain"])
    def test_every_verb_has_an_example(self, capsys: Capture, verb: str) -> None:
        assert run([verb, "--help"]) == 0
        assert f"Example: longtail {verb}" in " ".join(capsys.readouterr().out.split())


def bad_data(folder: Path) -> None:
    """Files from which nothing can be learnt."""
    X, y = arrays()
    np.savez("negative.npz", X=X, y=y - 1)
    np.savez("outside.npz", X=X, y=y, classes=np.array(["a", "b"]))
    nan = X.copy()
    nan[5, 1] = np.nan
    np.savez("nan.npz", X=nan, y=y)
    np.savez("gap.npz", X=X, y=np.where(y == 1, 3, y))
    np.savez("one.npz", X=X, y=np.zeros_like(y))
    np.savez("empty.npz", X=X[:0], y=y[:0])
    np.savez("lengths.npz", X=X, y=y[:-1])
    np.savez("names.npz", a=X, b=y)
    np.save("pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez("pickled.npz", X=np.array([{}], dtype=object), y=np.zeros(1))
    np.save("labels.npy", y)
    np.save("features.npy", X)
    (folder / "text.npz").write_text("X,y\n1,2\n")
    (folder / "photos").mkdir()


BAD_DATA = {
    "negative.npz": "labels must be >= 0, got -1",
    "outside.npz": "got 2",
    "nan.npz": "must be finite, got NaN or infinity in row",
    "gap.npz": "every class must have a training example, got none of class '1'",
    "one.npz": "data must have at least two classes, got only '0'",
    "empty.npz": "must not be empty",
    "lengths.npz": "features and labels must have the same length, got 64 and 63",
    "names.npz": "must hold X (or features) and y (or labels), got a, b",
    "pickled.npy": "pickled objects, which are refused",
    "pickled.npz": "pickled objects, which are refused",
    "features.npy": "holds features only; name the file of its labels with --label",
    "text.npz": "cannot be read as an array file",
    "gone.npz": "does not exist",
    "photos": "holds no image",
    "digit": "did you mean 'digits'?",
    "imagenet": "neither a known name nor an existing file",
}


@pytest.mark.parametrize(("name", "message"), BAD_DATA.items(), ids=BAD_DATA.keys())
@pytest.mark.parametrize("verb", ["compare", "train", "inspect"])
def test_bad_data_are_one_line(here: Path, capsys: Capture, verb: str, name: str, message: str) -> None:
    bad_data(here)
    label = ["--label", "labels.npy"] if name == "pickled.npy" else []
    refused(capsys, run([verb, name, *label]), message)
    assert not (here / "runs").exists()


BAD_OPTIONS = {
    "ratio": (["--ratio", "0.5"], "ratio must be >= 1"),
    "ratio NaN": (["--ratio", "nan"], "ratio must be"),
    "profile": (["--profile", "linear"], "profile must be one of exp, step, got 'linear'"),
    "val": (["--val", "1.5"], "val (--val) must be in (0, 1), the share that is held out, got 1.5"),
    "seeds": (["--seeds", "0"], "seeds must be an integer >= 1, got 0"),
    "seeds text": (["--seeds", "x"], "'--seeds'"),
    "epochs": (["--epochs", "0"], "epochs must be an integer >= 1, got 0"),
    "margin": (["--methods", "ldam(max_margin=-0.5)"], "max_margin must be >= 0, got -0.5"),
    "gamma": (["--methods", "focal(gamma=-2)"], "gamma must be >= 0, got -2"),
    "tau": (["--methods", "ce,logit-adjusted(tau=-1)"], "tau must be >= 0, got -1"),
    "method": (["--methods", "ldam-dwr"], "did you mean ldam-drw(max_margin=0.5, scale=30.0"),
    "knob": (
        ["--methods", "ldam(scal=3)"],
        "did you mean 'scale'? it accepts ldam(max_margin=0.5, scale=30.0, exponent=0.25, test_prior=None)",
    ),
    "spec": (["--methods", "ldam(scale=__import__('os'))"], "is not a schedule"),
    "threshold": (["--methods", "ce-threshold"], "needs a validation part, got none; add --val 0.2"),
    "metric": (["--metric", "auc"], "metric must be a metric that longtail has, got 'auc'; did you mean roc_auc"),
    "model": (["--model", "resnet"], "model must be one of auto, linear, mlp, convnet"),
    "model that does not fit": (["--model", "convnet"], "for a convnet"),
    "budget": (["--budget", "soon"], "--budget must be a time such as 90s, 10m or 1.5h, got 'soon'"),
    "budget 0": (["--budget", "0s"], "--budget must be a time"),
    "jobs": (["--jobs", "0"], "jobs must be an integer >= 1, got 0"),
    "device": (["--device", "tpu"], "--device must be cpu or cuda, got 'tpu'"),
    "option": (["--epoch", "3"], "No such option: --epoch"),
    "argument": (["more.npz"], "unexpected extra argument"),
}


@cases(("arguments", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_bad_options_are_one_line(here: Path, capsys: Capture, arguments: list[str], message: str) -> None:
    refused(capsys, compare(*arguments), message)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "good.npz", "--seed", "-1"], "--seed must be >= 0, got -1"),
        (["train", "good.npz", "--method", "ldma"], "unknown method 'ldma'"),
        (["train", "good.npz", "--method", "ce-threshold"], "needs a validation part"),
        (["train", "good.npz", "--model", "convnet"], "for a convnet"),
        (["compare", "good.npz", "--baseline", "ldma"], "baseline: unknown method 'ldma'; did you mean ldam("),
        (["explain", "ldma"], "unknown method 'ldma'; did you mean ldam("),
        (["explain"], "Missing argument"),
        (["methods", "--task", "noisy"], "supervised, got 'noisy'"),
        (["inspect", "good.npz", "--ratio", "0"], "ratio must be"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_the_other_verbs_refuse_in_one_line_too(
    here: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    refused(capsys, run(arguments), message)
    assert not (here / "runs").exists()


def test_nothing_at_all_shows_the_help(capsys: Capture) -> None:
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert "Usage: longtail" in out
    assert err == "longtail: error: name a command, as in: longtail compare\n"


class TestOutputFolder:
    @pytest.mark.parametrize("verb", ["compare", "train"])
    def test_one_that_cannot_be_written_is_refused(self, here: Path, capsys: Capture, verb: str) -> None:
        (here / "file").write_text("")
        for out in ("file", "file/out"):
            refused(capsys, run([verb, "good.npz", "--out", out]), "cannot be written")

    def test_that_of_another_configuration_is_refused_and_kept(self, here: Path, capsys: Capture) -> None:
        assert compare("--out", "out") == 0
        capsys.readouterr()
        before = {p: p.read_bytes() for p in (here / "out").rglob("*") if p.is_file()}
        for change, reason in (
            (["--epochs", "3"], "recipe.epochs is 2 there, 3 was asked"),
            (["--ratio", "2"], "data.facts.ratio is None there, 2.0 was asked"),
            (["--dry-run", "--epochs", "3"], "recipe.epochs is 2 there, 3 was asked"),
        ):
            line = refused(capsys, compare("--out", "out", *change), reason)
            assert "choose another --out or delete the folder" in line
        assert {p: p.read_bytes() for p in (here / "out").rglob("*") if p.is_file()} == before

    def test_a_run_folder_likewise(self, here: Path, capsys: Capture) -> None:
        command = ["train", "good.npz", "--epochs", "1", "--model", "linear", "--out", "m"]
        assert run(command) == 0
        capsys.readouterr()
        refused(capsys, run([*command, "--seed", "1"]), "another configuration: seed is 0 there, 1 was asked")
        refused(capsys, run([*command, "--ratio", "2"]), "data.facts.ratio is None there, 2.0 was asked")


def limited(arguments: list[str], size: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """The real command where no file may grow beyond `size` bytes: what a full disk does to a write."""
    code = "import sys; from longtail.cli import main; sys.argv = ['longtail', *sys.argv[1:]]; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip


@pytest.mark.slow
class TestFullDisk:
    def test_a_comparison_ends_in_one_line_and_keeps_what_is_finished(self, here: Path) -> None:
        command = ["compare", "good.npz", "--out", "out", "--methods", "ce", *QUICKLY]
        assert run(command) == 0
        finished = {p: p.stat().st_mtime_ns for p in (here / "out").glob("*/seed-*/run.json")}
        assert len(finished) == 1
        wide = [*command[:-2], "--methods", "ce,ldam", "--model", "linear"]
        process = limited(wide, 1500, here)
        assert process.returncode == 2, process.stderr
        assert process.stdout == ""
        assert process.stderr.splitlines()[-1].startswith("longtail: error: cannot write out/ldam-")
        lines = [line for line in process.stderr.splitlines() if "test examples" not in line]  # of the data
        assert [line.startswith("longtail: comparing: ") for line in lines] == [True, False]
        assert "File too large" in process.stderr
        assert "finished runs are kept" in process.stderr
        assert {p: p.stat().st_mtime_ns for p in (here / "out").glob("*/seed-*/run.json")} == finished
        assert not list((here / "out").rglob("*.tmp"))
        assert run(wide) == 0
        assert len(list((here / "out").glob("*/seed-*/run.json"))) == 2

    def test_a_training_ends_in_one_line(self, here: Path) -> None:
        command = ["train", "good.npz", "--epochs", "2", "--model", "linear", "--out", "m"]
        process = limited(command, 1500, here)
        assert process.returncode == 2
        assert process.stderr.strip().startswith("longtail: error: m/")
        assert len(process.stderr.strip().splitlines()) == 1, process.stderr
        assert "File too large" in process.stderr
        assert run(command) == 0


class TestExitCodes:
    def test_1_when_a_run_failed_and_the_others_are_shown(
        self, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken() -> Method:
            return Method(one_stage(lambda counts: 1 / 0), cited("good1952rational"))  # type: ignore[arg-type, return-value]

        monkeypatch.setitem(catalog.CATALOG, "broken", broken)
        assert compare(methods="ce,broken,ldam") == 1
        out, err = capsys.readouterr()
        assert "FAILED: broken, seed 0: ZeroDivisionError: division by zero" in out
        assert "FAILED broken, seed 0" in err
        assert "ldam" in out
        assert compare("--json", methods="ce,broken,ldam") == 1
        assert json.loads(capsys.readouterr().out)["failed"][0]["method"] == "broken"

    def test_1_when_a_training_diverges(self, here: Path, capsys: Capture) -> None:
        X, y = arrays()
        X[:, 0] = np.where(y == 2, 3e38, -3e38)  # finite in float32, their difference is not
        np.savez("huge.npz", X=X, y=y, X_test=X[:5], y_test=y[:5])
        code = run(["train", "huge.npz", "--method", "ce", "--epochs", "2", "--model", "linear"])
        out, err = capsys.readouterr()
        assert (code, out) == (1, "")
        assert err.startswith("longtail: error: the loss must stay finite, got NaN or infinity in stage train, epoch 1")
        assert err.count("\n") == 1

    @pytest.mark.parametrize("verb", ["compare", "train"])
    def test_130_when_interrupted(
        self, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, verb: str
    ) -> None:
        from longtail.runs.train import Fit

        def interrupted(self: Fit, resume: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(Fit, "_start", interrupted)
        more = ["--jobs", "1"] if verb == "compare" else []
        assert run([verb, "good.npz", "--epochs", "2", *more]) == 130
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == "longtail: interrupted; the same command goes on from here"

    def test_a_defect_is_one_line_and_shows_its_traceback_on_demand(
        self, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from longtail.runs.train import Fit

        def defect(self: Fit) -> Any:
            raise KeyError("nobody expected this")

        monkeypatch.setattr(Fit, "__next__", defect)
        assert run(["train", "good.npz"]) == 1
        assert capsys.readouterr().err.strip() == "longtail: error: KeyError: 'nobody expected this'"
        monkeypatch.setenv("LONGTAIL_DEBUG", "1")
        with pytest.raises(KeyError):
            run(["train", "good.npz"])


class TestScreen:
    @pytest.mark.parametrize("width", [40, 60, 80, 118, 200])
    def test_the_table_leaves_columns_out_rather_than_cutting_numbers(
        self, here: Path, capsys: Capture, width: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from rich.console import Console

        from longtail.cli import comparison_output

        monkeypatch.setattr(comparison_output, "console", lambda **to: Console(**to, width=width, highlight=False))
        assert compare(methods="ce,logit-adjusted-posthoc") == 0
        table = capsys.readouterr().out.split("\nclass ")[0]
        assert "…" not in table
        assert all(len(line.rstrip()) <= width for line in table.splitlines())
        names = ["many", "medium", "few", "accuracy", "ECE", "seconds"]
        shown = [name for name in names if name in table.splitlines()[0].split()]
        assert shown == {40: [], 60: [], 80: names[:3]}.get(width, names)
        assert ("no room for" in table) == (shown != names)
