"""`longtail predict`: a table or a folder in, names and probabilities out; what does not fit is one line."""

from __future__ import annotations

import json
import shutil
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
    table = pd.read_csv(out)
    assert len(table) == 120
    assert list(table.columns) == ["row", "prediction", "probability", "p(no)", "p(yes)", "rule", "prior"]
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
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"] == sum(printed["predicted"].values()) == len(pd.read_parquet(out)) == 120
    assert printed["prior"] == "raw"


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
    said = refused(capsys, "predict", model, new, "--target-prior", "no=1,yes=-1")
    assert "(--target-prior) must be >= 0 for every class, got -1 for 'yes'; give 0 to a class that does not" in said
    said = refused(capsys, "predict", model, new, "--target-prior", "no=3,yes=1")
    assert "(--target-prior) must have shares that sum to 1, got 4; divide each by 4" in said
    assert "yes" in refused(capsys, "predict", model, new, "--target-prior", "no=0.9,no=0.9,yes=0.1")
    said = refused(capsys, "predict", model, new, "--target-prior", "uniform", "--raw")
    assert "--raw leaves out the correction that --target-prior asks for" in said


def test_a_file_that_cannot_be_written_is_not_finished_work(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (claims / "file").write_text("no folder")
    capsys.readouterr()
    said = refused(capsys, "predict", claims / "m", claims / "new.csv", "--out", claims / "file" / "x.csv")
    assert "x.csv cannot be written (" in said
    assert "); name a file in another folder" in said
    assert "finished work" not in said


def test_a_folder_of_runs_names_the_run_in_it(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert f"name a run inside it, as in {claims / 'm'}" in refused(capsys, "predict", claims, claims / "new.csv")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and light images, and a model of theirs."""
    folder, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, level, count in (("dark", 30, 24), ("light", 200, 8)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(level, level + 40, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    command = ["train", str(folder / "photos"), "--size", "8", "--epochs", "20", "--out", str(folder / "m")]
    assert run(command) == 0
    return folder


def test_a_folder_of_images_is_predicted_file_by_file(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deep").mkdir()
    shutil.copy(photos / "photos" / "light" / "0.png", tmp_path / "deep" / "ü.png")
    shutil.copy(photos / "photos" / "dark" / "0.png", tmp_path / "a.png")
    capsys.readouterr()
    assert run(["predict", str(photos / "m"), str(tmp_path)]) == 0
    rows = [line.split(",")[:2] for line in capsys.readouterr().out.splitlines()]
    assert rows == [["file", "prediction"], ["a.png", "dark"], ["deep/ü.png", "light"]]


def test_an_image_of_any_mode_predicts_as_its_rgb_by_the_stated_rules(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Grey in all three channels, transparency over white, 16 bits scaled to 8: by hand, with NumPy."""
    draw = np.random.default_rng(1)
    grey = draw.integers(0, 256, (8, 8), dtype=np.uint8)
    colour = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    alpha = np.where(draw.random((8, 8)) < 0.5, 0, 255).astype(np.uint8)  # clear or solid: nothing is rounded
    deep = draw.integers(0, 65536, (8, 8), dtype=np.uint16)
    over = np.where(alpha[..., None] == 255, colour, 255).astype(np.uint8)
    three = np.repeat(grey[..., None], 3, axis=2)
    modes: dict[str, tuple[Image.Image, np.ndarray]] = {
        "L": (Image.fromarray(grey), three),
        "LA": (Image.fromarray(np.dstack([grey, alpha])), np.where(alpha[..., None] == 255, three, 255)),
        "RGBA": (Image.fromarray(np.dstack([colour, alpha])), over),
        "I;16": (Image.fromarray(deep), np.repeat(np.round(deep / 257).astype(np.uint8)[..., None], 3, axis=2)),
        "1": (Image.fromarray(grey > 127), np.where(grey[..., None] > 127, 255, 0).repeat(3, axis=2)),
        "P": (Image.fromarray(three).quantize(256), three),
    }
    for name in ("odd", "rgb"):
        (tmp_path / name).mkdir()
    for i, (mode, (image, expected)) in enumerate(modes.items()):
        assert image.mode == mode
        image.save(tmp_path / "odd" / f"{i}.png")
        Image.fromarray(expected.astype(np.uint8)).save(tmp_path / "rgb" / f"{i}.png")
    outputs = []
    for name in ("odd", "rgb"):
        capsys.readouterr()
        assert run(["predict", str(photos / "m"), str(tmp_path / name), "--raw"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0].splitlines())) == 1 + len(modes)
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "odd" / "float.tiff")
    said = refused(capsys, "predict", photos / "m", tmp_path / "odd")
    assert "'float.tiff' (floating-point pixels, which have no stated range" in said


@pytest.mark.parametrize("name", ["t.csv", "t.TSV", "t.parquet", "x.npz", "x.npy"])
def test_rows_of_another_kind_for_images_name_the_kind(
    photos: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    capsys.readouterr()
    said = refused(capsys, "predict", photos / "m", tmp_path / name)
    assert f"the model was trained on images, got '{tmp_path / name}'; pass a folder of images or an image" in said


def test_a_single_image_keeps_its_name(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = tmp_path / "one.png"
    shutil.copy(photos / "photos" / "dark" / "0.png", one)
    capsys.readouterr()
    assert run(["predict", str(photos / "m"), str(one)]) == 0
    rows = [line.split(",")[:2] for line in capsys.readouterr().out.splitlines()]
    assert rows == [["file", "prediction"], [str(one), "dark"]]


def test_images_that_cannot_be_decoded_are_refused_or_skipped_named_and_counted(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, out = tmp_path / "new", tmp_path / "out.csv"
    new.mkdir()
    for name in ("a.png", "c.png"):
        shutil.copy(photos / "photos" / "light" / "0.png", new / name)
    (new / "b.png").write_bytes(b"no image")
    (new / "d.png").write_bytes(b"")
    command = ["predict", str(photos / "m"), str(new), "--out", str(out)]
    capsys.readouterr()
    assert "leave them out with --skip-bad" in refused(capsys, *command)
    assert run([*command, "--skip-bad"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("2 rows: light 2; 2 skipped\n")
    assert said.err == (
        "longtail: note: 2 of 4 images could not be decoded and have no prediction: "
        "'b.png' (not an image that can be read), 'd.png' (empty, 0 bytes)\n"
    )
    table = pd.read_csv(out)
    assert table["file"].tolist() == ["a.png", "b.png", "c.png", "d.png"]
    assert table["prediction"].fillna("").tolist() == ["light", "", "light", ""]
    assert table["p(dark)"].isna().tolist() == [False, True, False, True]
    assert table["rule"][1] == "skipped: not an image that can be read"
    command[-1] = str(tmp_path / "out.parquet")
    assert run([*command, "--skip-bad", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["rows"], printed["skipped"]["d.png"]) == (2, "empty, 0 bytes")
    assert pd.read_parquet(tmp_path / "out.parquet")["prediction"].isna().tolist() == [False, True, False, True]


def test_nothing_but_bad_images_is_refused_whatever_is_skipped(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.png").write_bytes(b"no image")
    capsys.readouterr()
    said = refused(capsys, "predict", photos / "m", tmp_path / "b.png", "--skip-bad")
    assert "none of 1 images can be decoded" in said


def test_folders_that_are_called_as_the_classes_are_told_of(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["predict", str(photos / "m"), str(photos / "photos")]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("longtail: note: the images lie in folders that are called as the classes; they were ")
    assert len(said.out.splitlines()) == 1 + 32
