"""Benchmarks with wrong labels: their data, and the recipe that `longtail reproduce` trains them by."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tiny_cifar import LARGEST, tiny_cifar

from longtail.comparison.benchmarks import benchmark
from longtail.comparison.reproduction import deviations, prepare_benchmark
from longtail.engine.default_recipe import LDAM, NOISE, NOISE_100


def test_table_6_is_all_images_and_absgds_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_cifar(tmp_path, monkeypatch)
    options = {"data_dir": folder, "methods": "ce", "out": tmp_path / "out"}
    asked, prepared = prepare_benchmark("cifar10-noise-symmetric-0.4", **options)
    recipe, splits = prepared.recipe, prepared.splits
    assert (recipe.model, recipe.epochs, recipe.batch_size, recipe.momentum) == ("sce-cnn", 120, 128, 0.9)
    rates = [recipe.learning_rate(e / 120) for e in (0, 39, 40, 79, 80, 119)]
    assert rates == pytest.approx([0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])
    assert deviations(asked, prepared) == []
    assert splits.truth is not None
    assert torch.bincount(splits.truth).tolist() == [LARGEST] * 10
    assert int((splits.truth != splits.train.targets).sum()) == int(0.4 * 10 * LARGEST)
    _, shorter = prepare_benchmark("cifar10-noise-symmetric-0.4", epochs=30, **options)
    assert deviations(asked, shorter) == ["epochs 30 instead of 120"]
    assert shorter.recipe.learning_rate(10 / 30) == pytest.approx(1e-3)


def test_every_benchmark_has_the_recipe_of_its_papers() -> None:
    assert benchmark("cifar100-noise-asymmetric-0.4").recipe == NOISE_100
    assert benchmark("cifar10-noise-asymmetric-0.2").recipe == NOISE
    assert benchmark("cifar100-lt-10-noise-proportional-0.4").recipe == LDAM
    assert NOISE_100.model == "resnet34"
