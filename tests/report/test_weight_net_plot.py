"""The picture of what a weight net learned: from records alone, the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from svg_shapes import lines, texts

from longtail.cli import run
from longtail.report import weight_net_plot
from longtail.report.svg_figure import BLUE, RED

pytest.importorskip("matplotlib")


def records(*ends: float) -> list[dict[str, Any]]:
    return [{"stage": "train", "weight_net": {"losses": [0.0, 4.0], "weights": [0.5, end]}} for end in ends]


def test_a_curve_for_each_epoch_from_the_first_to_the_last() -> None:
    svg = weight_net_plot.svg(records(0.4, 0.9), "t")
    assert svg is not None
    grid_and_curves = [line for line in lines(svg) if line.colour in (BLUE, RED)]
    first, last = grid_and_curves
    assert first.points[0] == last.points[0]
    (_, low), (_, high) = first.points[1], last.points[1]
    assert low > high  # svg counts from above
    assert {"1", "2", "epoch"} <= set(texts(svg))
    assert svg == weight_net_plot.svg(records(0.4, 0.9), "t")


def test_of_many_epochs_some_are_shown_the_first_and_the_last_among_them() -> None:
    svg = weight_net_plot.svg(records(*([0.4] * 100)), "t")
    assert svg is not None
    assert {"1", "21", "41", "60", "80", "100"} <= set(texts(svg))


def test_a_run_without_such_a_net_has_no_picture() -> None:
    assert weight_net_plot.svg([{"stage": "train"}], "t") is None


def test_a_run_has_it_in_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run(["train", "digits", "--ratio", "50", "--method", "mwn", "--epochs", "1", "--out", str(out)]) == 0
    assert "weights.svg, weight-net.svg" in capsys.readouterr().out
    record = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert len(record["weight_net"]["losses"]) == len(record["weight_net"]["weights"]) > 10
    assert "weight-net.svg" in {path.name for path in out.iterdir()}
