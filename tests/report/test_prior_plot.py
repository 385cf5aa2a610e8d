"""The picture of an estimated prior's distance to the truth: from records alone, and in a run's folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from svg_shapes import lines, texts

import longtail as lt
from longtail.cli import run
from longtail.report import prior_plot
from longtail.report.svg_figure import BLUE

pytest.importorskip("matplotlib")


def records(*distances: float) -> list[dict[str, Any]]:
    return [{"stage": "train", "prior": [0.5, 0.5], "prior_distance": distance} for distance in distances]


def test_the_distance_by_epoch() -> None:
    svg = prior_plot.svg(records(0.4, 0.1, 0.2), "t")
    assert svg is not None
    (curve,) = (line for line in lines(svg) if line.colour == BLUE)
    (_, first), (_, second), (_, third) = curve.points
    assert second > third > first  # svg counts from above
    assert "epoch" in texts(svg)
    assert [text for text in texts(svg) if text in ["1", "2", "3", "1.0", "1.5"]] == ["1", "2", "3"]
    assert svg == prior_plot.svg(records(0.4, 0.1, 0.2), "t")


def test_without_a_known_truth_there_is_no_picture() -> None:
    assert prior_plot.svg([{"stage": "train", "prior": [0.5, 0.5]}], "t") is None


def test_a_run_has_it_in_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    ask = ["train", "digits", "--ratio", "50", "--ambiguity", "0.3", "--method", "proden-records", "--epochs", "3"]
    assert run([*ask, "--out", str(out)]) == 0
    found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    counts = json.loads((out / "config.json").read_text())["data"]["class_counts"]
    truth = [n / sum(counts) for n in counts]
    assert len(found) == 3
    for record in found:
        assert sum(record["prior"]) == pytest.approx(1, abs=1e-5)
        assert record["prior_distance"] == pytest.approx(math.dist(record["prior"], truth), rel=1e-12)
    assert (out / "prior.svg").exists()
    posthoc = lt.load(out).posthoc
    assert posthoc is not None


def test_the_distance_falls_along_the_training(tmp_path: Path) -> None:
    fit = lt.fit("proden-records", "digits", ratio=20, ambiguity=0.2, seed=0)
    distances = [record["prior_distance"] for record in fit]
    assert distances[-1] < 0.7 * distances[0]
