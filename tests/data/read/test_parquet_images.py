"""Parquet files with a column of images: the hub's layout and plain ones, what is refused; hub names with a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from longtail.cli import run
from longtail.data import load
from longtail.data.mapped import MappedExamples
from longtail.data.pool import Pool
from longtail.data.read import dispatch
from longtail.data.read.dispatch import kind_of, pool
from longtail.data.read.parquet_images import parquet_image_pool
from pictures import image
from tiny_cifar import png


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    caches = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LONGTAIL_CACHE", str(caches / "ours"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", caches / "theirs")


def pixels(seed: int) -> np.ndarray:
    return np.asarray(image(seed))


def declared(path: Path, seeds: list[int], labels: list[int]) -> None:
    """A file as the hub's are, with the features in its metadata; classes wolf and ant in this order."""
    features = datasets.Features({"photo": datasets.Image(), "animal": datasets.ClassLabel(names=["wolf", "ant"])})
    rows = {"photo": [{"bytes": png(pixels(s)), "path": None} for s in seeds], "animal": labels}
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)


def plain(path: Path, seeds: list[int], kind: str = "struct", column: str = "image", **more: Any) -> None:
    """A file without such metadata."""
    files = [png(pixels(s)) for s in seeds]
    values = [{"bytes": b, "path": "x.png"} for b in files] if kind == "struct" else files
    pyarrow.parquet.write_table(pyarrow.table({column: values, **more}), path)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    declared(tmp_path / "animals" / "train-00000-of-00002.parquet", [0, 1, 2], [1, 0, 1])
    declared(tmp_path / "animals" / "train-00001-of-00002.parquet", [3], [0])
    declared(tmp_path / "animals" / "test-00000-of-00001.parquet", [4, 5], [0, 1])
    return tmp_path / "animals"


def test_a_folder_in_the_hubs_layout(animals: Path) -> None:
    rows = pool(animals, size=16)
    assert rows.classes == ("wolf", "ant")
    assert rows.parts is not None
    found = sorted(zip(rows.parts.tolist(), rows.targets.tolist(), strict=True))
    assert found == [("test", 0), ("test", 1), ("train", 0), ("train", 0), ("train", 1), ("train", 1)]
    inputs = rows.rows.inputs[rows.parts == "train"].permute(0, 2, 3, 1).numpy()
    assert np.array_equal(inputs, np.stack([pixels(s) for s in range(4)]))
    assert (rows.name, kind_of(animals)) == ("animals", "parquet of images")
    splits = load(animals, size=16)
    assert (len(splits.train), len(splits.test)) == (4, 2)


@pytest.mark.parametrize(("kind", "column"), [("struct", "image"), ("struct", "img"), ("bytes", "image")])
def test_a_file_that_does_not_say_what_its_images_are(kind: str, column: str, tmp_path: Path) -> None:
    path = tmp_path / "photos.parquet"
    plain(path, [0, 1, 2], kind, column, fine_label=["b", "a", "b"], coarse_label=["x", "x", "x"])
    rows = pool(path, size=16)
    assert (rows.classes, rows.targets.tolist(), rows.name) == (("a", "b"), [1, 0, 1], "photos")
    assert np.array_equal(rows.rows.inputs[2].permute(1, 2, 0).numpy(), pixels(2))
    with pytest.raises(ValueError, match="at least two classes"):
        pool(path, size=16, label="coarse_label")


def test_rows_that_do_not_fit_in_memory_are_the_same(animals: Path) -> None:
    held, mapped = (parquet_image_pool(animals, size=16, share=share) for share in (0.25, 0.0))
    assert isinstance(mapped.rows, MappedExamples)
    (read,) = mapped.rows.read([torch.arange(6)])
    assert torch.equal(read, held.rows.inputs)


def test_the_identity_follows_the_content_and_not_the_place(animals: Path, tmp_path: Path) -> None:
    def identity() -> str:
        rows: Pool = parquet_image_pool(animals, size=16, share=0.0)
        assert isinstance(rows.rows, MappedExamples)
        return rows.rows.identity

    first = identity()
    moved = animals.rename(tmp_path / "moved")
    animals = moved
    assert identity() == first
    declared(moved / "test-00000-of-00001.parquet", [6, 7, 8], [0, 1, 1])
    assert identity() != first


def test_a_table_without_images_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": ["a", "b"], "label": ["x", "y"]}), path)
    assert kind_of(path) == "table"
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    assert kind_of(tmp_path / "broken.parquet") == "table"
    assert kind_of(tmp_path) == "table"


def test_what_cannot_be_read_is_refused(animals: Path, tmp_path: Path) -> None:
    def refused(message: str, path: Path, **options: Any) -> None:
        with pytest.raises(ValueError, match=message) as caught:
            pool(path, size=16, **options)
        assert "\n" not in str(caught.value)

    refused(r"drop_columns \(--drop\) is not read for parquet of images", animals, drop_columns="x")
    refused("'kind'", animals, label="kind")
    refused("declared once", animals, split="animal")
    (animals / "val.csv").write_text("a,b\n1,2\n")
    refused("must hold parquet files alone, got 'val.csv', too", animals)
    (animals / "val.csv").unlink()
    (animals / "test-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    refused("the parquet files of .* cannot be read .*; write them again", animals)
    plain(tmp_path / "one.parquet", [0, 1], other=[1, 2])
    refused("does not tell its label column; name one of image, other", tmp_path / "one.parquet")
    plain(tmp_path / "bad.parquet", [0, 1], label=["a", "b"])
    table = pyarrow.table({"image": [png(pixels(0)), b"x", png(pixels(1))], "label": ["a", "a", "b"]})
    pyarrow.parquet.write_table(table, tmp_path / "bad.parquet")
    refused("1 of 3 images cannot be decoded: 'row 1'", tmp_path / "bad.parquet")


def test_inspect_leaves_out_images_that_cannot_be_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [png(pixels(s)) for s in range(8)]
    table = pyarrow.table({"image": [*files, b"x"], "label": ["a", "b"] * 4 + ["a"]})
    pyarrow.parquet.write_table(table, tmp_path / "photos.parquet")
    assert run(["inspect", str(tmp_path / "photos.parquet"), "--size", "16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["class_counts"] == [3, 3]


@pytest.mark.parametrize(
    ("address", "name", "config", "shown"),
    [
        ("some/animals", "some/animals", None, "animals"),
        ("some/animals/small", "some/animals", "small", "animals-small"),
        ("some/animals/", "some/animals/", None, None),
        ("a/b/c/d", "a/b/c/d", None, None),
    ],
)
def test_a_hub_name_may_have_a_config(
    address: str, name: str, config: str | None, shown: str | None, monkeypatch: pytest.MonkeyPatch, animals: Path
) -> None:
    asked: list[Any] = []

    def answer(repository: str, *, config: str | None = None, **_: Any) -> Pool:
        asked.append((repository, config))
        return parquet_image_pool(animals, size=16)

    monkeypatch.setattr(dispatch, "hub_pool", answer)
    made = pool(f"hub:{address}")
    assert asked == [(name, config)]  # what is no name is refused by hub_pool
    assert shown in (None, made.name)
