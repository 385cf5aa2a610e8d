"""Long-tailed CIFAR as a folder of images holds the very rows that cifar10 itself gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.export_cifar import main

from longtail.data import load
from longtail.data.read.images.image_folder import image_pool
from tiny_cifar import LARGEST, TESTED, tiny_cifar


def test_the_folder_reads_back_as_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny_cifar(tmp_path, monkeypatch)
    main(["--data-dir", str(data), "--out", str(tmp_path / "out"), "--ratio", "10"])
    splits = load("cifar10", data_dir=data, ratio=10)
    assert f"{len(splits.train)} train images, {10 * TESTED} test images" in capsys.readouterr().out
    pool = image_pool(tmp_path / "out")
    assert pool.classes == splits.classes
    assert int(pool.class_counts.max()) == LARGEST + TESTED
    for part, rows in (("train", splits.train), ("test", splits.test)):
        order = sorted(range(len(rows)), key=lambda r: (rows.classes[int(rows.targets[r])], r))
        here = torch.from_numpy(pool.parts == part)
        assert pool.rows.inputs[here].equal(rows.inputs[order])
        assert pool.targets[here].equal(rows.targets[order])


def test_a_folder_that_holds_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(SystemExit):
        main(["--data-dir", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "must be a new or an empty folder" in capsys.readouterr().err
