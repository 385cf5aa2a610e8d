"""The prepared script for a GPU, SimCLR and + GH, with a CPU in its place."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from benchmarks import geometric_file

pytestmark = pytest.mark.slow  # it trains


def test_it_stops_in_time_goes_on_and_shows_ours_beside_the_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, command = tmp_path / "geometric.json", ["--device", "cpu", "--small", "--out", str(tmp_path)]
    geometric_file.main([*command, "--limit", "1"])  # seconds that are over when the runs begin
    assert "0 of 2 finished; resume" in capsys.readouterr().out
    plan = json.loads(out.read_text())["plan"]
    assert plan["eager"] == {"SimCLR": {}, "SimCLR+GH": {}}
    geometric_file.main(command)
    said = capsys.readouterr().out
    assert "2 of 2 finished" in said
    assert "| SimCLR+GH, published | 1000 | 57.38 | 52.27 | 52.12 |  | 2.99 |" in said
    result = json.loads(out.read_text())
    assert result["plan"] == plan
    plain, harmonized = (result["runs"][name] for name in ("SimCLR", "SimCLR+GH"))
    assert plain["epochs"] == harmonized["epochs"] == 4
    assert plain["loss"][:2] == harmonized["loss"][:2]
    assert plain["loss"][2] < harmonized["loss"][2]
    assert plain["surrogate_entropy"] == [None] * 4
    assert harmonized["surrogate_entropy"][1] == pytest.approx(math.log(100), rel=1e-5)


def test_groups_are_thirds_of_the_classes_and_what_remains_is_manys() -> None:
    recalls = [0.1, 0.9, 0.3, 0.5, 0.7, 0.2, 0.4]
    counts = torch.tensor([3, 90, 20, 50, 60, 10, 30])
    row = geometric_file.final({"per_class": {"recall": recalls}, "balanced_accuracy": 0.4}, counts)
    assert [row[name] for name in ("many", "medium", "few")] == [70.0, 35.0, 15.0]
    assert row["std_sample"] == 27.84
    assert row["std_population"] == 22.73
    # as published: the sample's
    table = geometric_file.PUBLISHED["SimCLR"]
    again = torch.tensor([table[name] for name in ("many", "medium", "few")], dtype=torch.float64).std()
    assert float(again) == pytest.approx(table["std_sample"], abs=0.01)


def test_it_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, why in (
        (["--small"], "--out FOLDER is needed"),
        (["--out", str(tmp_path)], "--data FILE is needed; python -m benchmarks.export_cifar --name cifar100"),
    ):
        with pytest.raises(SystemExit):
            geometric_file.main([*words, "--device", "cpu"])
        assert why in capsys.readouterr().err
