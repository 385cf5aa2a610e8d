"""`sklearn:package.module.Class(arg=value)` on the command line: compare, train, explain, predict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from longtail.cli import run

pytest.importorskip("skops.io")
NB = "sklearn:sklearn.naive_bayes.GaussianNB"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    g = np.random.default_rng(0)
    y = np.repeat([0, 1], [70, 30])
    path = tmp_path_factory.mktemp("given") / "rows.npz"
    np.savez(path, X=g.normal(size=(100, 3)) + y[:, None], y=y)
    return str(path)


def test_compare_and_resume(table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compare", table, "--methods", f"ce,nb={NB}(var_smoothing=1e-3)", "--seeds", "1", "--epochs", "1"]
    for _ in range(2):
        assert run([*command, "--jobs", "1", "--out", str(tmp_path / "c"), "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert {row["method"] for row in summary["rows"]} == {"ce", "nb", "nb-posthoc"}
    assert run([*command[:3], f"nb={NB}()", "--out", str(tmp_path / "c"), "--seeds", "1", "--epochs", "1"]) == 2
    assert "classifier.var_smoothing is '0.001' there, '1e-09' was asked" in capsys.readouterr().err


def test_train_and_predict(table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", table, "--method", f"{NB}()", "--out", str(tmp_path / "m")]) == 0
    assert "model.safetensors" in capsys.readouterr().out
    assert run(["predict", str(tmp_path / "m"), table, "--out", str(tmp_path / "p.csv")]) == 0
    capsys.readouterr()
    given = "sklearn:lightgbm.LGBMClassifier(n_estimators=2)"
    pytest.importorskip("lightgbm")
    assert run(["train", table, "--method", given, "--out", str(tmp_path / "l")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "model.safetensors" not in said
    assert "predict cannot take this folder: not saved: the loader of models does not trust lightgbm." in said
    config = json.loads((tmp_path / "l" / "config.json").read_text())
    assert config["method"] == "lgbm"
    assert "lightgbm" in config["versions"]
    assert run(["predict", str(tmp_path / "l"), table, "--out", str(tmp_path / "p2.csv")]) == 2
    assert "does not trust lightgbm." in capsys.readouterr().err
    assert run(["train", table, "--method", given, "--cost", "missed=5,false=1", "--out", str(tmp_path / "x")]) == 2
    assert "is for a model that is saved, which 'lgbm' cannot be" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", f"{NB}(var_smoothing=0.5)"]) == 0
    said = capsys.readouterr().out
    for words in (
        "gaussian-nb: A classifier of your own",
        "var_smoothing        0.5",
        "gaussian-nb-posthoc",
        "GaussianNB",
    ):
        assert words in said
    assert run(["explain", f"{NB}()", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classifier"]["class"] == "sklearn.naive_bayes.GaussianNB"


def test_one_line_of_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for asked in ("sklearn:sklearn.svm.LinearSVC()", "sklearn:nowhere.X()", f"{NB}(smoothing=1)"):
        assert run(["compare", "--methods", asked, "--out", str(tmp_path)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
