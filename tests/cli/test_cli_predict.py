"""`longtail predict`: a table or a folder in, names and probabilities out; what does not fit is one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from longtail.cli import run


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("longtail: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    draw = np.random.default_rng(0)
    fraud = np.arange(120) % 6 == 0
    table = pd.DataFrame({"amount": draw.normal(size=120) + 3 * fraud, "kind": draw.choice(["car", "home"], 120)})
    table.assign(fraud=np.where(fraud, "yes", "no")).to_csv(folder / "claims.csv", index=False)
    table.to_csv(folder / "new.csv", index=False)
    assert (
        run(["train", str(folder / "claims.csv"), "--label", "fraud", "--epochs", "5", "--out", str(folder / "m")]) == 0
    )
    return folder


def test_the_file_has_a_row_for_every_row(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = claims / "out.csv"
    capsys.readouterr()
    assert run(["predict", str(claims / "m"), str(claims / "new.csv"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    found = pd.read_csv(out)
    assert len(found) == 120
    assert list(found.columns) == ["row", "prediction", "probability", "p(no)", "p(yes)", "rule", "prior"]
    assert "120 rows: no " in said
    assert "every class equally likely" in said


def test_without_out_csv_goes_to_standard_output(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["predict", str(claims / "m"), str(claims / "new.csv"), "--target-prior", "no=0.9,yes=0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 121
    assert "target prior (no 0.9, yes 0.1)" in lines[1]


def test_json_is_a_summary_alone(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    out = claims / "out.parquet"
    assert run(["predict", str(claims / "m"), str(claims / "new.csv"), "--out", str(out), "--json", "--raw"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == sum(found["predicted"].values()) == len(pd.read_parquet(out)) == 120
    assert found["prior"] == "raw"


def test_a_prior_from_a_file(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (claims / "prior.json").write_text('{"yes": 0.5, "no": 0.5}')
    capsys.readouterr()
    texts = []
    for prior in (str(claims / "prior.json"), "uniform"):
        assert run(["predict", str(claims / "m"), str(claims / "new.csv"), "--target-prior", prior]) == 0
        texts.append([line.split(",")[:5] for line in capsys.readouterr().out.splitlines()])
    assert texts[0] == texts[1]


def test_what_does_not_fit_is_one_line(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, new = claims / "m", claims / "new.csv"
    capsys.readouterr()
    pd.read_csv(new).drop(columns="amount").to_csv(claims / "less.csv", index=False)
    pd.read_csv(new).assign(amount="a lot").to_csv(claims / "text.csv", index=False)
    np.savez(claims / "x.npz", X=np.ones((3, 2)), y=[0, 1, 0])
    assert "is not a folder" in refused(capsys, "predict", claims / "nothing", new)
    assert "holds no finished model" in refused(capsys, "predict", claims, new)
    assert "do not exist; check the path" in refused(capsys, "predict", model, claims / "gone.csv")
    assert "'amount'" in refused(capsys, "predict", model, claims / "less.csv")
    assert "amount" in refused(capsys, "predict", model, claims / "text.csv")
    assert "the model was trained on a table" in refused(capsys, "predict", model, claims / "x.npz")
    assert "ends in .csv or .parquet" in refused(capsys, "predict", model, new, "--out", claims / "x.txt")
    assert "name the file with --out" in refused(capsys, "predict", model, new, "--json")
    assert "shares such as" in refused(capsys, "predict", model, new, "--target-prior", "high")
    assert "'yes' has no share" in refused(capsys, "predict", model, new, "--target-prior", "no=1")
    assert "cannot be read" in refused(capsys, "predict", model, new, "--target-prior", claims / "none.json")


def test_a_folder_of_images_is_predicted_file_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    for name, level, count in (("dark", 30, 24), ("light", 200, 8)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(level, level + 40, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    assert run(["train", str(tmp_path / "photos"), "--size", "8", "--epochs", "20", "--out", str(tmp_path / "m")]) == 0
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "light" / "0.png").rename(tmp_path / "new" / "deep" / "ü.png")
    (tmp_path / "photos" / "dark" / "0.png").rename(tmp_path / "new" / "a.png")
    capsys.readouterr()
    assert run(["predict", str(tmp_path / "m"), str(tmp_path / "new")]) == 0
    rows = [line.split(",")[:2] for line in capsys.readouterr().out.splitlines()]
    assert rows == [["file", "prediction"], ["a.png", "dark"], ["deep/ü.png", "light"]]
