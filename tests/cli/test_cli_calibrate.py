"""`train --calibrate` and `predict --target-prior estimate`: what is printed, saved and refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longtail.cli import run


def table(shares: list[float], n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=shares)
    x = rng.normal(size=(n, 2)) + np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 2.5]])[y]
    return pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "kind": np.array(["ok", "b[i]", "rare"])[y]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("calibrated")
    table([0.7, 0.2, 0.1], 300, 0).to_csv(place / "train.csv", index=False)
    table([0.2, 0.2, 0.6], 120, 1).drop(columns="kind").to_csv(place / "new.csv", index=False)
    return place


TRAIN = ["--label", "kind", "--method", "logistic", "--val", "0.3"]


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    assert run(["train", str(folder / "train.csv"), *TRAIN, "--calibrate", "auto", "--out", str(folder / "m")]) == 0
    return folder / "m"


def test_the_calibration_is_said_where_it_is_made_and_where_it_is_used(
    folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["train", str(folder / "train.csv"), *TRAIN, "--calibrate", "auto", "--out", str(model)]) == 0
    )  # finished
    words = json.loads((model / "run.json").read_text())["calibration"]["words"]
    assert f"Calibrated: {words}" in " ".join(capsys.readouterr().out.split())
    assert run(["predict", str(model), str(folder / "new.csv"), "--out", str(folder / "p.csv")]) == 0
    assert "training; temperature scaling (T = " in " ".join(capsys.readouterr().out.split())
    assert next(csv.DictReader((folder / "p.csv").read_text().splitlines()))["prior"].startswith(
        "training; temperature scaling"
    )


def test_the_estimate_is_printed_by_class_and_is_in_json(
    folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(model), str(folder / "new.csv"), "--target-prior", "estimate", "--out"]
    assert run([*command, str(folder / "e.csv")]) == 0
    out = capsys.readouterr().out
    assert run([*command, str(folder / "e.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["estimated_prior"]
    assert set(found["classes"]) == {"ok", "b[i]", "rare"}
    for name, one in found["classes"].items():
        line = next(line for line in out.splitlines() if line.strip().startswith(name))
        assert f"{100 * one['share']:.1f} % [{100 * one['low']:.1f}, {100 * one['high']:.1f}], training" in line
    rare = found["classes"]["rare"]
    assert rare["training"] < 0.2 < rare["low"] < 0.6 < rare["high"]
    assert (found["rows"], found["level"]) == (120, 0.95)
    rows = list(csv.DictReader((folder / "e.csv").read_text().splitlines()))
    assert np.mean([float(row["p(rare)"]) for row in rows]) == pytest.approx(rare["share"], abs=0.05)
    assert rows[0]["rule"] == "highest probability under the target prior (estimated from these rows)"


def test_what_cannot_be_is_one_line(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = ["train", str(folder / "train.csv"), *TRAIN[:-2], "--out", str(folder / "no")]
    for command, line in (
        ([*plain, "--calibrate", "auto"], "needs rows that are not trained on, got no validation part; add --val 0.2"),
        (
            [*plain, "--val", "0.2", "--calibrate", "platt"],
            "must be one of temperature, vector, isotonic, auto, got 'pl",
        ),
        (["predict", str(model), str(folder / "new.csv"), "--raw", "--target-prior", "estimate"], "give one of them"),
    ):
        assert run(command) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert line in error
        assert error.count("longtail: error") == 1
    assert not (folder / "no").exists()
    assert run([*plain, "--val", "0.2", "--calibrate", "vector", "--dry-run"]) == 0
    assert "calibrated (vector)" in " ".join(capsys.readouterr().out.split())
