"""The prepared script for wrong labels on CIFAR: on a CPU in small, and its rows those of `longtail compare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks import cifar_file, export_cifar, noise_file
from benchmarks.noisy_subset import benchmark_of, shaped, with_noise
from tests.tiny_cifar import LARGEST, tiny_cifar

from longtail.data import load

pytestmark = pytest.mark.slow  # it trains


def test_it_stops_in_time_goes_on_and_shows_ours_beside_the_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "noise.json"
    command = ["--device", "cpu", "--small", "--out", str(tmp_path), "--methods", "ce,crt", "--seeds", "2"]
    noise_file.main([*command, "--minutes", "0.0001"])  # over when the runs begin
    assert "0 of 4 finished; the same command goes on" in capsys.readouterr().out
    noise_file.main(command)
    said = capsys.readouterr().out
    assert "4 of 4 finished" in said
    assert "cifar10-noise-symmetric-0.4, 40.0 % of 40 labels wrong" in said
    assert "| 85.75 | ≠ Qi et al. 2023, table 6 |" in said
    result = json.loads(out.read_text())
    assert result["wrong_share"] == 0.4
    assert {"cpu", "torch", "longtail", "command"} <= result["machine"].keys()
    assert {(run["method"], run["seed"]) for run in result["runs"].values()} == {
        (spec, seed) for spec in ("ce", "crt") for seed in (0, 1)
    }
    assert all(run["finished"] and 0 <= run["last"] <= run["best_test"] for run in result["runs"].values())
    (number,) = result["published"]["ce"]
    assert number["accuracy"] == 85.75
    assert "40 images here" in number["not_comparable"]
    noise_file.main(command)  # nothing is trained again
    assert json.loads(out.read_text())["runs"] == result["runs"]


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["--device", "cpu", "--small", "--methods", "ce", "--set", "lr=0.02", "--out"]
    noise_file.main([*command, str(tmp_path / "whole")])
    ticks = iter([0.0, 0.0, 0.0])  # the start of all, of the runs, and before the first; then all time is over
    with monkeypatch.context() as patch:
        patch.setattr(noise_file.time, "monotonic", lambda: next(ticks, 1e9))
        noise_file.main([*command, str(tmp_path / "cut")])
    (run,) = json.loads((tmp_path / "cut" / "noise.json").read_text())["runs"].values()
    assert (run["epochs"], run["finished"]) == (1, False)
    noise_file.main([*command, str(tmp_path / "cut")])
    models = [tmp_path / name / "0-ce-seed-0" / "model.safetensors" for name in ("whole", "cut")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_rows_and_noise_are_those_of_longtail_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tiny_cifar(tmp_path, monkeypatch), tmp_path / "cifar.npz"
    export_cifar.main(["--data-dir", str(folder), "--ratio", "1", "--out", str(file)])
    whole = cifar_file.read(file)
    for ratio in (5.0, 10.0):
        cut = shaped(whole, rows=None, ratio=ratio)
        assert cut.hash == load("cifar10", data_dir=folder, ratio=ratio).hash
        noisy, asked = with_noise(cut, "proportional:0.2"), {"noise": "proportional:0.2", "ratio": ratio}
        assert noisy.hash == load("cifar10", data_dir=folder, **asked).hash
        assert noisy.truth is not None
        assert torch.equal(noisy.truth, cut.train.targets)
    assert benchmark_of(noisy, "proportional:0.2") == "cifar10-lt-10-noise-proportional-0.2"
    assert benchmark_of(whole, "symmetric:0.4,counts=equal") == "cifar10-noise-symmetric-0.4"
    assert benchmark_of(whole, "symmetric:0.35") is None
    part = shaped(whole, rows=50, ratio=None)
    assert part.class_counts.tolist() == [5] * 10
    assert part.hash == load("cifar10", data_dir=folder, ratio=1, largest=5).hash
    assert shaped(whole, rows=100, ratio=5).class_counts.tolist()[::9] == [10, 2]
    with pytest.raises(ValueError, match=rf"--rows must be 10 to {10 * LARGEST} for --data, .* got 1000; lower it"):
        shaped(whole, rows=1000, ratio=None)
    with pytest.raises(ValueError, match="--data must hold clean labels"):
        shaped(noisy, rows=None, ratio=None)


def test_the_recipe_is_that_of_reproduce_with_the_changes_asked_for() -> None:
    splits = noise_file.Setting("cpu", None, small=True).splits()
    usual = noise_file.recipe_of(splits, "symmetric:0.4,counts=equal", small=False)
    assert (usual.model, usual.epochs, usual.lr, usual.drops) == ("sce-cnn", 120, 0.01, (1 / 3, 2 / 3))
    other = noise_file.recipe_of(splits, "symmetric:0.4", small=False, model="resnet32", epochs=3, lr=0.1)
    assert (other.model, other.epochs, other.lr, other.drop) == ("resnet32", 3, 0.1, 0.1)
    splits.facts["ratio"] = 100.0
    assert noise_file.recipe_of(splits, "proportional:0.2", small=False).model == "resnet32"


def test_it_says_what_is_missing_before_long_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path)]
    for words, why in (
        (["--small"], "--out FOLDER is needed"),
        (out, "--data FILE is needed; python -m benchmarks.export_cifar --ratio 1"),
        ([*out, "--small", "--methods", "cee"], "cee"),
        ([*out, "--small", "--noise", "symetric:0.4"], "noise (--noise) must be one of symmetric,"),
        ([*out, "--small", "--rows", "1000"], "--rows must be 10 to 40"),
        ([*out, "--small", "--set", "speed=1"], "speed"),
    ):
        with pytest.raises(SystemExit):
            noise_file.main([*words, "--device", "cpu"])
        assert why in capsys.readouterr().err
