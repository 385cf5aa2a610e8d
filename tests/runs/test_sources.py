"""A prediction leads back to the row of the source that it is about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import longtail as lt
from longtail import data
from longtail.cli import run
from longtail.data.origin import Origin, Place
from longtail.runs.run import Run
from longtail.runs.train import train


def trained(splits: data.Splits, folder: Path) -> Run:
    return train("logistic", splits, folder=folder)


def test_of_digits_the_index_is_the_row_of_the_whole_data_set(tmp_path: Path) -> None:
    found = train("ce", data.load("digits"), folder=tmp_path, recipe=lt.engine.Recipe(epochs=1))
    index, bunch = found.predictions()["index"], load_digits()
    assert index.dtype == torch.int64
    assert len(set(index.tolist())) == len(index)
    assert (bunch.target[index] == found.predictions()["targets"].numpy()).all()
    inputs = torch.from_numpy(bunch.images[index].astype("float32") / 16)[:, None]
    assert torch.allclose(found.predictor.scores(inputs), found.predictions()["scores"], atol=1e-5)
    assert found.sources()[0] == Place("sklearn.datasets.load_digits", int(index[0]))


@pytest.fixture
def table() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rare = np.arange(90) % 3 == 0
    return pd.DataFrame({"amount": draw.normal(size=90) + 3 * rare, "row": np.arange(90), "fraud": rare.astype(str)})


def test_of_a_table_it_is_the_row_below_the_header(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "claims.csv", index=False)
    found = trained(data.load(tmp_path / "claims.csv", label="fraud"), tmp_path / "m")
    index = found.predictions()["index"].tolist()
    assert index == sorted(index)
    targets = [found.classes[j] for j in found.predictions()["targets"]]
    assert table["fraud"][index].tolist() == targets
    assert found.sources() == [Place("claims.csv", row) for row in index]


def test_of_files_by_part_it_is_the_file_and_the_row_in_it(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "claims"
    folder.mkdir()
    for name, rows in (("train", slice(0, 60)), ("test", slice(60, 90))):
        table[rows].to_csv(folder / f"{name}.csv", index=False)
    found = trained(data.load(folder, label="fraud"), tmp_path / "m")
    assert found.sources() == [Place("test.csv", row) for row in range(30)]
    assert found.predictions()["index"].tolist() == list(range(30))  # test.csv is read before train.csv


def test_of_arrays_by_part_it_is_the_array_and_the_row_in_it(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(50, 3)), np.arange(50) % 2
    np.savez(tmp_path / "a.npz", X=X[:40], y=y[:40], X_test=X[40:], y_test=y[40:])
    found = trained(data.load(tmp_path / "a.npz"), tmp_path / "m")
    assert found.predictions()["index"].tolist() == list(range(40, 50))
    assert found.sources() == [Place("a.npz: X_test", row) for row in range(10)]


def test_of_images_it_is_the_name_even_where_some_were_left_out(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, level in (("dark", 30), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(8):
            pixels = draw.integers(level, level + 40, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    (tmp_path / "photos" / "dark" / "00.png").write_bytes(b"no image")
    out = tmp_path / "out"
    command = ["compare", str(tmp_path / "photos"), "--size", "8", "--epochs", "1", "--methods", "logistic",
               "--seeds", "1", "--skip-bad", "--out", str(out), "--jobs", "1"]  # fmt: skip
    assert run(command) == 0
    for folder in out.glob("*/seed-0"):
        one = Run.load(folder)
        places = one.sources()
        assert not (folder / "sources.json").exists()  # once for all runs
        assert [place.file.split("/")[0] for place in places] == [one.classes[j] for j in one.predictions()["targets"]]
        assert all((tmp_path / "photos" / place.file).is_file() and place.row is None for place in places)
        assert "dark/00.png" not in {place.file for place in places}
        read = one.predictor.predictions([tmp_path / "photos" / place.file for place in places], raw=True)
        expected = one.predictor.probabilities(one.predictions()["scores"], raw=True)
        assert torch.allclose(read.probabilities, expected, atol=1e-5)


@pytest.mark.slow
def test_with_folds_every_row_is_led_back_to_and_so_are_those_of_each_fold(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "claims.csv", index=False)
    command = ["compare", str(tmp_path / "claims.csv"), "--label", "fraud", "--folds", "3", "--methods", "logistic",
               "--seeds", "1", "--epochs", "1", "--jobs", "1", "--out", str(tmp_path / "out")]  # fmt: skip
    assert run(command) == 0
    folder = next((tmp_path / "out").glob("logistic-*/seed-0"))
    whole, folds = Run.load(folder), [Run.load(folder / f"fold-{j}") for j in range(3)]
    assert whole.sources() == [Place("claims.csv", row) for row in range(90)]
    rows = [place.row for one in folds for place in one.sources()]
    assert sorted(rows) == list(range(90))
    scores = torch.cat([one.predictions()["scores"] for one in folds])
    assert whole.predictions()["scores"].equal(scores[torch.tensor(rows).argsort()])


def test_splits_of_ones_own_say_that_the_index_counts_test_rows(tmp_path: Path) -> None:
    splits = data.load(torch.randn(40, 3), torch.arange(40) % 2)
    found = trained(replace(splits, origin=None, test_rows=None), tmp_path)
    assert found.predictions()["index"].tolist() == list(range(len(splits.test)))
    with pytest.raises(ValueError, match="its index counts the rows of the test part") as error:
        found.sources()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["[]", "{", '{"files": [{"name": "other.csv", "rows": 40}], "names": null}', None])
def test_sources_that_were_changed_are_refused_in_one_line(tmp_path: Path, damage: str | None) -> None:
    found = trained(data.load(torch.randn(40, 3), torch.arange(40) % 2), tmp_path)
    path = tmp_path / "sources.json"
    assert json.loads(path.read_text())["files"] == [{"name": "data", "rows": 40}]
    path.unlink() if damage is None else path.write_text(damage)
    with pytest.raises(ValueError, match=r"no sources.json in .* is the one that the run was written with") as error:
        found.sources()
    assert "\n" not in str(error.value)


def test_a_row_that_is_not_there_is_refused() -> None:
    origin = Origin((("a", 2), ("b", 0), ("c", 1)))
    assert origin.places([0, 1, 2]) == [Place("a", 0), Place("a", 1), Place("c", 0)]
    for row in (-1, 3):
        with pytest.raises(ValueError, match=rf"rows must be in \[0, 3\), got {row}"):
            origin.places([row])
