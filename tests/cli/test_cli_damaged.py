"""JSON of any shape in a run's files: the command that reads it is one line with the way out, or runs it again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from damaged_json import SHAPES
from longtail.cli import run
from resealing import resealed

TRAIN = ["train", "data.npz", "--method", "ce", "--epochs", "2", "--model", "linear", "--out", "model"]
READ_BY_PREDICT = ("meta.json",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    y = np.repeat([0, 1], [40, 10])
    x = np.random.default_rng(0).normal(size=(50, 3)) + y[:, None]
    np.savez(root / "data.npz", X=x.astype(np.float32), y=y)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert run(TRAIN) == 0
    return root


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


NAMES = ("config.json", "run.json", "metrics.jsonl", "meta.json")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        # each shape in one file, each file in several shapes; the rest of the product in the full suite
        pytest.param(name, shape, id=f"{i}-{name}", marks=() if i % len(NAMES) == j else pytest.mark.slow)
        for i, shape in enumerate(SHAPES)
        for j, name in enumerate(NAMES)
    ],
)
def test_any_shape_is_run_again_or_one_line(
    here: Path, name: str, shape: bytes, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = here / "model" / name
    before = (here / "model" / "predictions.safetensors").read_bytes()
    path.write_bytes(shape)
    code = run(["predict", "model", "data.npz"])
    out, err = capsys.readouterr()
    if name in READ_BY_PREDICT:
        assert (code, out) == (2, "")
        assert err.startswith("longtail: error: ")
        assert err.count("\n") == 1
        assert len(err) < 600
        assert "train it again" in err or "train the model again" in err or "update longtail" in err
    else:
        assert code == 0
    assert run(TRAIN) == 0
    assert caplog.messages[0].startswith(f"model/{name} ")
    assert (here / "model" / "predictions.safetensors").read_bytes() == before
    assert run(["predict", "model", "data.npz"]) == 0


@pytest.mark.parametrize("name", ["config.json", "run.json"])
def test_a_newer_version_is_one_line_and_nothing_is_changed(
    here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    resealed(here / "model" / name, lambda document: document.update(schema_version=99))
    resealed(here / "model" / "run.json")
    before = (here / "model" / name).read_bytes()
    assert run(TRAIN) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"longtail: error: model/{name} was written by a newer version of longtail; update longtail")
    assert err.count("\n") == 1
    assert (here / "model" / name).read_bytes() == before


def test_what_train_prints_are_the_scores_of_the_predictions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TRAIN, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    resealed(here / "model" / "run.json", lambda result: result["scores"].update(ece=0.999, macro_f1=0.999))
    assert run([*TRAIN, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == whole["scores"]
