"""`--backbone`: photos through a local transformers folder, in train, compare, predict and evaluate; small networks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import longtail as lt
from longtail.cli import progress, run
from longtail.data.read.backbone import Encoder
from longtail.report import page
from longtail.report.page.reading import read
from pictures import PIL
from tiny_backbones import vit

SAID = "Small network: convnet, trained from scratch on 32 x 32 pixels"
OUT = "--backbone FOLDER or --features FILE"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Bright and dark photos of many sizes, a backbone, and a model that was trained on its features."""
    root, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, mean, count in (("bright", 200, 12), ("dark", 60, 6)):
        (root / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(mean - 50, mean + 50, (20 + i, 40 - i, 3), dtype=np.uint8)
            PIL.fromarray(pixels).save(root / "photos" / name / f"{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGTAIL_CACHE", str(root / "cache"))
        where = vit(root / "vit")
        words = ["train", root / "photos", "--backbone", where, "--method", "ce", "--model", "linear"]
        assert run([str(w) for w in (*words, "--epochs", 60, "--out", root / "model")]) == 0
        yield root


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert run([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("longtail: error: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_new_images_are_embedded_alike(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["predict", str(made / "model"), str(made / "photos"), "--out", str(made / "p.csv"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"] == 18
    splits = lt.data.load(made / "photos", backbone=made / "vit")
    predictor = lt.load(made / "model")
    predicted = predictor.predictions(made / "photos")
    names = predictor.preparation.paths(made / "photos")
    assert sum(Path(name).parent.name == label for name, label in zip(names, predicted.labels, strict=True)) >= 16
    # training rows, as they were in training, have the scores of the same images read anew
    paths = [place.file for place in lt.Run.load(made / "model").sources()]
    again = predictor.scores(predictor.prepared([made / "photos" / str(name) for name in paths]))
    torch.testing.assert_close(again, lt.Run.load(made / "model").predictions()["scores"])
    assert splits.train.input_shape == (8,)
    array = np.asarray(PIL.open(made / "photos" / "dark" / "0.png"))[None]
    torch.testing.assert_close(predictor.prepared(array), predictor.prepared(made / "photos" / "dark" / "0.png"))
    assert predictor.prepared(splits.test.inputs).equal(splits.test.inputs)


def test_every_verb_that_embeds_shows_how_far_it_is(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    shown = progress.display
    monkeypatch.setattr(progress, "display", lambda what, unit: (begun.append(what), shown(what, unit))[1])
    assert run(["predict", str(made / "model"), str(made / "photos")]) == 0
    assert run(["predict", str(made / "model"), str(made / "photos"), "--out", str(made / "p.npz")]) == 0
    assert run(["evaluate", str(made / "model"), str(made / "photos")]) == 0
    assert begun == ["predicting", "embedding", "evaluating"]


def test_the_backbone_may_move_but_not_change(made: Path, tmp_path: Path, capsys: Any) -> None:
    moved = shutil.copytree(made / "vit", tmp_path / "moved")
    model = shutil.copytree(made / "model", tmp_path / "model")
    command = ["predict", model, made / "photos", "--out", tmp_path / "p.csv"]
    assert run([str(w) for w in (*command, "--backbone", moved)]) == 0
    other = vit(tmp_path / "other", seed=1)
    assert "is not the one that the model was trained with" in refused(capsys, *command, "--backbone", other)
    (made / "vit").rename(made / "away")
    try:
        assert "is no folder now; name the one" in refused(capsys, *command)
        words = ["evaluate", model, made / "photos", "--backbone", moved, "--json"]
        assert run([str(w) for w in words]) == 0
    finally:
        (made / "away").rename(made / "vit")


def test_a_comparison_of_its_features_embeds_nothing_again(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("everything was in the cache")

    monkeypatch.setattr(Encoder, "__init__", refuse)
    words = ["compare", made / "photos", "--backbone", made / "vit", "--methods", "ce,ncm,lift-head", "--seeds", "1"]
    capsys.readouterr()
    assert run([str(w) for w in (*words, "--epochs", 2, "--jobs", 1, "--out", made / "compared")]) == 0
    said = capsys.readouterr().out
    assert "8 features each, the pooler output of vit" in said
    assert "Small network" not in said
    summary = json.loads((made / "compared" / "comparison.json").read_text())
    assert summary["data"]["facts"]["pooling"] == "pooler output"
    assert {row["method"] for row in summary["rows"]} >= {"ce", "ncm", "lift-head"}


def test_a_model_without_backbone_refuses_one(made: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["train", made / "photos", "--method", "ce", "--epochs", "1", "--out", tmp_path / "m"]
    assert run([str(w) for w in words]) == 0
    said = capsys.readouterr().out
    assert SAID in said
    assert OUT in said
    assert "trained with one" in refused(capsys, "predict", tmp_path / "m", made / "photos", "--backbone", made / "vit")
    html = page.render(read(tmp_path / "m"), tmp_path / "m")
    assert "Small network: convnet" in html


def test_the_small_network_is_said_to_be_small_wherever_it_decides(made: Path, capsys: Any) -> None:
    words = ["compare", made / "photos", "--methods", "ce,logit-adjusted", "--seeds", "1", "--epochs", "1"]
    words += ["--jobs", "1", "--out", made / "small"]
    assert run([*map(str, words), "--dry-run"]) == 0
    assert SAID in capsys.readouterr().out
    assert run(list(map(str, words))) == 0
    assert SAID in " ".join(capsys.readouterr().out.split())
    assert SAID in (made / "small" / "comparison.md").read_text()
    assert "Small network: convnet" in page.render(read(made / "small"), made / "small")


def test_no_path_is_one_line(made: Path, capsys: Any) -> None:
    assert "nothing is downloaded" in refused(capsys, "compare", made / "photos", "--backbone", "google/vit")
    assert "is not read for table" in refused(
        capsys, "compare", _table(made / "t.csv"), "--label", "y", "--backbone", made / "vit"
    )


def _table(path: Path) -> Path:
    path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(8)))
    return path
