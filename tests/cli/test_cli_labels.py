"""`longtail labels`, and its file in `compare`, `train` and `tune`: on a table, an .npz and a folder of images."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from longtail.cli import run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.slow  # each trains several times


def points() -> tuple[np.ndarray, np.ndarray]:
    """Features of three classes, and labels of which four are wrong."""
    y = np.repeat([0, 1, 2], [50, 24, 8])
    X = (np.random.default_rng(0).normal(size=(82, 4)) + 5 * np.eye(4)[y]).astype(np.float32)
    y[[1, 2, 60, 61]] = [1, 2, 0, 0]
    return X, y


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(file: str) -> list[dict[str, str]]:
    with Path(file).open() as text:
        return list(csv.DictReader(text))


def round_trip(data: str, capsys: Capture, *options: str) -> list[dict[str, str]]:
    """Find suspects, and train with the rows dropped and relabelled; return the lines of the file."""
    assert run(["labels", data, "--folds", "2", "--out", "s.csv", *options]) == 0
    assert f"Next: longtail compare {data}" in capsys.readouterr().out
    found = lines("s.csv")
    assert found
    rest = list(options)
    for flag, word in (("--drop", "dropped"), ("--relabel", "relabelled")):
        command = [
            "compare",
            data,
            flag,
            "s.csv",
            "--methods",
            "logistic",
            "--seeds",
            "1",
            "--epochs",
            "1",
            "--jobs",
            "1",
        ]
        assert run([*command, "--out", f"out{flag}", "--json", *rest]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert any(f"{len(found)} training rows were {word}" in note for note in summary["data"]["notes"])
    return found


def test_a_table(here: Path, capsys: Capture) -> None:
    X, y = points()
    names = np.array(["cat", "dog", "lynx"])[y]
    with Path("pets.csv").open("w") as file:
        file.write("a,b,c,d,kind\n")
        file.writelines(f"{','.join(map(str, row))},{name}\n" for row, name in zip(X.tolist(), names, strict=True))
    found = round_trip("pets.csv", capsys, "--label", "kind")
    for line in found:  # a row is found again by its number below the head
        assert names[int(line["row"])] == line["given"]
        assert line["file"] == "pets.csv"
    assert {int(line["row"]) for line in found} <= {1, 2, 60, 61} | set(range(82))
    assert len({1, 2, 60, 61} & {int(line["row"]) for line in found}) >= 2

    # another column is no file of suspects, and both may be named
    assert (
        run(
            [
                "train",
                "pets.csv",
                "--label",
                "kind",
                "--drop",
                "a",
                "--drop",
                "s.csv",
                "--method",
                "logistic",
                "--out",
                "m",
            ]
        )
        == 0
    )
    config = json.loads(Path("m/config.json").read_text())
    assert config["data"]["facts"]["dropped"]["rows"] == len(found)
    assert run(["tune", "pets.csv", "--label", "kind", "--drop", "s.csv", "--inner-folds", "2", "--jobs", "1",
                "--method", "logistic(C=[0.1,1])"]) == 0  # fmt: skip
    assert "--drop s.csv" in capsys.readouterr().out


def test_features(here: Path, capsys: Capture) -> None:
    X, y = points()
    np.savez("f.npz", X=X, y=y)
    round_trip("f.npz", capsys)
    assert run(["compare", "f.npz", "--drop", "s.csv", "--folds", "2"]) == 2
    assert "drop_rows cannot go with folds" in capsys.readouterr().err
    assert run(["train", "f.npz", "--drop", "none.csv"]) == 2
    assert "drop_rows (--drop) must be a file that longtail labels wrote, got 'none.csv'" in capsys.readouterr().err
    np.savez("g.npz", X=X[::-1], y=y[::-1])
    assert run(["train", "g.npz", "--relabel", "s.csv", "--method", "logistic"]) == 2
    assert "relabel (--relabel) must" in capsys.readouterr().err
    assert run(["labels", "f.npz", "--folds", "2", "--sheet", "s.html"]) == 2
    assert "sheet (--sheet) shows suspects as pictures" in capsys.readouterr().err


def test_a_folder_of_images(here: Path, capsys: Capture) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("datasets")
    rng = np.random.default_rng(0)
    for name, number, value in (("dark", 40, 20), ("light", 20, 200)):
        Path("photos", name).mkdir(parents=True)
        for i in range(number):
            pixels = np.clip(rng.normal(value, 10, (8, 8, 3)), 0, 255).astype(np.uint8)
            image.fromarray(pixels).save(Path("photos", name, f"{i}.png"))
    for i in range(3):  # light images in the wrong folder
        pixels = np.clip(rng.normal(200, 10, (8, 8, 3)), 0, 255).astype(np.uint8)
        image.fromarray(pixels).save(Path("photos", "dark", f"wrong-{i}.png"))
    assert (
        run(
            ["labels", "photos", "--size", "8", "--folds", "2", "--epochs", "40", "--out", "s.csv", "--sheet", "s.html"]
        )
        == 0
    )
    found = lines("s.csv")
    assert any("wrong-" in line["file"] for line in found)
    assert Path("s.html").read_text().count("<figure>") == len(found)
    capsys.readouterr()
    for flag, word in (("--drop", "dropped"), ("--relabel", "relabelled")):
        command = [
            "compare",
            "photos",
            "--size",
            "8",
            flag,
            "s.csv",
            "--methods",
            "ce",
            "--seeds",
            "1",
            "--epochs",
            "1",
        ]
        assert run([*command, "--jobs", "1", "--out", f"out{flag}", "--json"]) == 0
        assert any(word in note for note in json.loads(capsys.readouterr().out)["data"]["notes"])


def test_the_measured_table_with_noise_and_json(here: Path, capsys: Capture) -> None:
    X, y = points()
    np.savez("f.npz", X=X, y=y)
    assert run(["labels", "f.npz", "--folds", "2", "--noise", "symmetric:0.2", "--json", "--top", "3"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["suspects"]) == len(lines("suspects.csv")) == 3
    assert document["groups"][0]["group"] == "all"
    assert document["classes"][0]["precision"] is not None


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--top", "0"], "top (--top) must be >= 1, got 0; leave it out to write all suspects"),
        (["--seed", "-1"], "seed (--seed) must be >= 0, got -1; 0 is usual"),
        (["--work", "file"], "--work file cannot be written"),
        (["--sheet", "suspects.csv"], "--sheet must be another file than --out, got 'suspects.csv' for both"),
        (["--out", "no/where.csv"], "--out must name a file in a folder that can be written"),
        (["--sheet", "no/where.html"], "--sheet must name a file in a folder that can be written"),
        (["--val", "0.2"], "val is not read by labels"),
        (["--folds", "1"], "folds"),
    ],
)
def test_refusals_are_one_line(here: Path, capsys: Capture, options: list[str], line: str) -> None:
    Path("file").touch()
    assert run(["labels", "digits", *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("longtail: error: ")
    assert line in error


def test_a_sheet_of_a_table_is_refused_before_a_training(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = points()
    np.savez("f.npz", X=X, y=y)
    monkeypatch.setattr(
        importlib.import_module("longtail.labels.suspects"), "out_of_sample", None
    )  # a call would be a TypeError
    assert run(["labels", "f.npz", "--sheet", "s.html"]) == 2
    assert "sheet (--sheet) shows suspects as pictures" in capsys.readouterr().err


def test_the_file_is_not_written_into_a_folder_of_images(here: Path, capsys: Capture) -> None:
    Path("photos").mkdir()
    assert run(["labels", "photos", "--out", "photos/s.csv"]) == 2  # the folder would be read as a table from then on
    assert "--out 'photos/s.csv' lies inside the data folder 'photos'" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "line"), [
    ([], "longtail: interrupted, and no training is kept; with --work FOLDER the same command goes on"),
    (["--work", "w"], "longtail: interrupted; the same command goes on from here"),
])  # fmt: skip
def test_an_interruption_says_whether_anything_is_kept(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, options: list[str], line: str
) -> None:
    def interrupted(*args: object, **named: object) -> None:
        raise KeyboardInterrupt

    X, y = points()
    np.savez("f.npz", X=X, y=y)
    monkeypatch.setattr(importlib.import_module("longtail.labels.suspects"), "out_of_sample", interrupted)
    assert run(["labels", "f.npz", *options]) == 130
    assert capsys.readouterr().err.strip().splitlines()[-1] == line
