"""CIFAR-N's labels on CIFAR's original files: which labels are trained on, what is the truth, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from longtail.cli import app
from longtail.data import load
from longtail.data.read import cifar
from longtail.data.read.cifar import Source
from longtail.data.read.cifar_batches import CLASSES, read_batches
from longtail.data.read.human_labels import SETS

SIZES = (8, 12, 10, 6, 14)  # images of each original file
PER_CLASS = 5
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), PER_CLASS))
PIXELS = np.random.default_rng(1).integers(0, 256, (50, 3072), dtype=np.uint8)


def write_batches(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.cumsum(SIZES)
    for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False), 1):
        content = {b"labels": LABELS[start:end].tolist(), b"data": PIXELS[start:end], b"batch_label": b"training batch"}
        (folder / f"data_batch_{i}").write_bytes(pickle.dumps(content, protocol=2))
    content = {b"labels": list(range(10)) * 2, b"data": PIXELS[:20]}
    (folder / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    return folder


def human(**changes: Any) -> dict[str, np.ndarray]:
    worse, random1 = LABELS.copy(), LABELS.copy()
    worse[::3] = (worse[::3] + 1) % 10
    random1[::10] = (random1[::10] + 3) % 10
    labels = {"clean_label": LABELS, "worse_label": worse, "aggre_label": LABELS.copy(), "random_label1": random1}
    return {**labels, **changes}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(cifar.SOURCES, "cifar10", Source("nowhere/tiny", "label", 10, "airplane", PER_CLASS))
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))
    return write_batches(tmp_path / "data")


def saved(folder: Path, labels: dict[str, np.ndarray], ending: str = ".pt") -> Path:
    path = folder / f"CIFAR-10_human{ending}"
    if ending == ".pt":
        torch.save(labels, path)
    elif ending == ".npy":
        np.save(path, labels, allow_pickle=True)  # type: ignore[arg-type]
    else:
        np.savez(path, **labels)
    return path


def test_the_original_files_are_read_in_their_order(data: Path, tmp_path: Path) -> None:
    splits = load("cifar10", data_dir=data, ratio=1)
    assert splits.classes == tuple(CLASSES["cifar10"].split())
    assert torch.equal(splits.train.inputs.flatten(1)[0], torch.from_numpy(PIXELS[splits_rows(splits)[0]]))
    assert sorted(splits.train.targets.tolist()) == sorted(LABELS.tolist())
    assert len(splits.test) == 20
    below = write_batches(tmp_path / "above" / "cifar-10-batches-py")
    assert load("cifar10", data_dir=below.parent, ratio=1).hash == splits.hash


def splits_rows(splits: Any) -> list[int]:
    """Which row of the original files each training image is."""
    index = {PIXELS[i].tobytes(): i for i in range(50)}
    return [index[image.numpy().tobytes()] for image in splits.train.inputs.flatten(1)]


@pytest.mark.parametrize("ending", [".pt", ".npy", ".npz"])
@pytest.mark.parametrize(("label", "array"), [("worse", "worse_label"), ("random1", "random_label1")])
def test_images_get_the_labels_of_people_and_the_clean_ones_are_the_truth(
    data: Path, tmp_path: Path, ending: str, label: str, array: str
) -> None:
    file = saved(tmp_path, human(), ending)
    splits = load("cifar10", data_dir=data, human_labels=file, label=label)
    rows = splits_rows(splits)
    assert len(rows) == 50, "all images, unlike without human labels"
    assert splits.train.targets.tolist() == human()[array][rows].tolist()
    assert splits.truth is not None
    assert splits.truth.tolist() == LABELS[rows].tolist()
    assert splits.test.targets.tolist() == list(range(10)) * 2
    assert splits.facts["human_labels"] == label
    wrong = int((human()[array] != LABELS).sum())
    assert f"{wrong} of 50 are not the clean ones" in splits.notes[0]


def test_the_cut_is_by_clean_labels_and_validation_rows_are_noisy(data: Path, tmp_path: Path) -> None:
    file = saved(tmp_path, human())
    cut = load("cifar10", data_dir=data, ratio=2, human_labels=file, label="worse", keep_cut=True)
    plain = load("cifar10", data_dir=data, ratio=2)
    assert torch.equal(cut.train.inputs, plain.train.inputs)
    assert cut.truth is not None
    assert torch.equal(cut.truth, plain.train.targets)
    assert torch.equal(cut.clean_counts, plain.class_counts)  # type: ignore[arg-type]
    assert cut.facts["images"] == plain.facts["images"]
    assert cut.cut_rows is not None
    index = {PIXELS[i].tobytes(): i for i in range(50)}
    others = [index[image.numpy().tobytes()] for image in cut.cut_rows.inputs.flatten(1)]  # type: ignore[union-attr]
    assert cut.cut_rows.targets.tolist() == human()["worse_label"][others].tolist()
    held = load("cifar10", data_dir=data, val=0.2, human_labels=file, label="worse")
    assert held.val is not None
    rows = [index[image.numpy().tobytes()] for image in held.val.inputs.flatten(1)]  # type: ignore[union-attr]
    assert held.val.targets.tolist() == human()["worse_label"][rows].tolist()
    assert held.truth is not None
    assert held.truth.tolist() == LABELS[splits_rows(held)].tolist()


def test_labels_that_agree_are_the_clean_data(data: Path, tmp_path: Path) -> None:
    plain = load("cifar10", data_dir=data, ratio=1)
    clean = load("cifar10", data_dir=data, human_labels=saved(tmp_path, human()), label="aggregate")
    assert clean.hash == plain.hash


@pytest.mark.parametrize(("changes", "message"), [
    ({"clean_label": np.roll(LABELS, 1)}, "are for images in the order of CIFAR's original files, and"),
    ({"clean_label": LABELS[:-1]}, "must be an integer for each of the 50 training images"),
    ({"worse_label": LABELS + 1}, "worse_label of CIFAR-10_human.pt must be in [0, 10), got 1 to 10"),
])  # fmt: skip
def test_labels_of_other_images_are_refused(data: Path, tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        load("cifar10", data_dir=data, human_labels=saved(tmp_path, human(**changes)), label="worse")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_file_and_options_that_do_not_go_together_are_refused(data: Path, tmp_path: Path) -> None:
    file = saved(tmp_path, {"clean_label": LABELS, "noisy_label": LABELS})
    given: dict[str, Any] = {"data_dir": data, "human_labels": file}
    for options, message in (
        ({"label": "worse"}, "must hold worse_label for cifar10, got clean_label, noisy_label"),
        ({"label": "worst"}, "label (--label) must name one of the human labels of cifar10, worse, aggregate,"),
        ({}, "got None; worse has the most wrong ones"),
        ({"label": "worse", "noise": "symmetric:0.2"}, "human_labels (--human-labels) cannot go with noise"),
    ):
        with pytest.raises(ValueError) as refused:
            load("cifar10", **given, **options)
        assert message in str(refused.value)
    with pytest.raises(ValueError, match=r"human_labels .* is read for cifar10 and cifar100, not for digits"):
        load("digits", human_labels=file)
    assert list(SETS["cifar100"]) == ["noisy"]


def test_a_file_that_is_not_cifars_is_refused(tmp_path: Path) -> None:
    for content, message in (
        ({b"data": PIXELS[:2]}, "must hold data (N, 3072) and labels (N,) for cifar10, got data"),
        ({b"data": PIXELS[:2], b"labels": [1, 10]}, "must have labels in [0, 10) for cifar10"),
        ({b"data": PIXELS[:2], b"labels": [1]}, "must hold data (N, 3072) and labels"),
    ):
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps(content, protocol=2))
        with pytest.raises(ValueError) as refused:
            read_batches("cifar10", [tmp_path / "data_batch_1"])
        assert message in str(refused.value)


def test_the_command_line_reads_them(data: Path, tmp_path: Path) -> None:
    file = saved(tmp_path, human())
    words = ["inspect", "cifar10", "--data-dir", str(data), "--human-labels", str(file), "--label", "worse"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "17 of 50 are not the clean ones" in " ".join(done.output.split())
    refused = CliRunner().invoke(app, ["inspect", "digits", *words[4:]])
    assert refused.exit_code != 0
