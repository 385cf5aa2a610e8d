"""The picture of average weights: from records alone, the same bytes each time, whatever the names hold."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from svg_shapes import SVG, lines, parsed, texts

from longtail.cli import run
from longtail.report import run_plots, svg_figure, weight_plot
from longtail.report.printable import shown
from longtail.report.svg_figure import BLUE, RED

pytest.importorskip("matplotlib")


def records(*weights: list[float | None] | None) -> list[dict[str, Any]]:
    return [{"stage": "train", **({} if w is None else {"mean_weights": w})} for w in weights]


def test_a_line_for_each_class_from_the_largest_to_the_smallest() -> None:
    svg = weight_plot.svg(records([1.0, 2.0], [0.5, 4.0]), ["rare", "common"], [5, 50], "t")
    common, rare = lines(svg)
    assert (common.colour, rare.colour) == (BLUE, RED)
    # common goes 2 -> 4, rare 1 -> 0.5, on one scale
    (_, two), (_, four) = common.points
    (_, one), (_, half) = rare.points
    assert (one - half) / (two - four) == pytest.approx(-0.5 / 2, abs=1e-3)
    assert (one - two) / (two - four) == pytest.approx(1 / 2, abs=1e-3)
    assert {"common (50)", "rare (5)"} <= set(texts(svg))


def test_a_class_that_was_not_seen_leaves_a_gap_and_a_lone_epoch_is_a_point() -> None:
    svg = weight_plot.svg(records([1.0, 1.0], [1.0, None], [1.0, 2.0]), ["a", "b"], [3, 1], "t")
    assert [line.joined for line in lines(svg)] == [True, False]
    points = [use for use in parsed(svg).iter(f"{SVG}use") if RED in use.get("style", "")]
    assert len(points) == 2


def test_weights_that_are_close_together_are_seen_apart_and_the_axis_says_so() -> None:
    svg = weight_plot.svg(records([1.0, 1.0], [0.998, 1.03]), ["a", "b"], [2, 1], "t")
    first, second = lines(svg)
    assert first.points[1][1] - second.points[1][1] > 200  # points, of about 270
    assert first.points[0] == second.points[0]
    assert {"1.00", "1.01", "1.02", "1.03"} <= {text[:4] for text in texts(svg)}
    assert any("the axis does not start at 0" in text for text in texts(svg))
    far = weight_plot.svg(records([1.0, 3.0]), ["a", "b"], [2, 1], "t")
    assert not any("does not start" in text for text in texts(far))


def test_many_classes_are_ten_lines_of_means() -> None:
    counts = [1000 - j for j in range(100)]
    svg = weight_plot.svg(
        records([float(j // 10) for j in range(100)], [1.0] * 100), [f"c{j}" for j in range(100)], counts, "t"
    )
    starts = [line.points[0][1] for line in lines(svg)]
    assert len(starts) == 10
    steps = [a - b for a, b in pairwise(starts)]
    assert steps == pytest.approx([steps[0]] * 9, abs=0.01)
    assert steps[0] > 20


def test_without_weights_there_is_no_picture_and_a_new_stage_is_marked() -> None:
    assert weight_plot.svg(records(None, None), ["a", "b"], [2, 1], "t") is None
    two = records(None, [1.0, 2.0], [1.0, 3.0])
    assert "stroke-dasharray" not in str(weight_plot.svg(two, ["a", "b"], [2, 1], "t"))
    two[0]["stage"] = "first"
    svg = weight_plot.svg(two, ["a", "b"], [2, 1], "t")
    assert "stroke-dasharray" in str(svg)
    assert {"first", "train"} <= set(texts(svg))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a & b", "\"'/>", "\x1b[31m", "x" * 5000, "\ud800", "", "$x$", "_b"]
)
def test_names_are_data(name: str) -> None:
    svg = weight_plot.svg(records([1.0, 2.0]), [name, "b"], [2, 1], name)
    assert not list(parsed(svg).iter(f"{SVG}script"))
    assert svg == weight_plot.svg(records([1.0, 2.0]), [name, "b"], [2, 1], name)
    assert f"{shown(name, longest=24)} (2)".strip() in texts(svg)
    assert len(str(svg)) < 20_000
    str(svg).encode()


def test_huge_weights_are_drawn() -> None:
    assert len(lines(weight_plot.svg(records([1.0, 1e12], [1.0, 2e300]), ["a", "b"], [2, 1], "t"))) == 2


@pytest.mark.slow
def test_train_and_compare_leave_it_and_it_is_not_drawn_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "digits", "--method", "absgd(lam=2)", "--epochs", "2", "--out", str(out)]
    assert run(arguments) == 0
    assert "weights.svg" in capsys.readouterr().out
    weights = [json.loads(line)["mean_weights"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [len(epoch) for epoch in weights] == [10, 10]
    assert len(lines((out / "weights.svg").read_text())) == 10
    stamp = (out / "weights.svg").stat().st_mtime_ns
    assert run(arguments) == 0
    assert (out / "weights.svg").stat().st_mtime_ns == stamp
    table = tmp_path / "table"
    asked = "--methods ce,absgd(lam=2) --seeds 1 --epochs 2 --jobs 1"
    assert run(["compare", "digits", *asked.split(), "--out", str(table)]) == 0
    assert [p.parts[-3].partition("-")[0] for p in table.glob("*/*/weights.svg")] == ["absgd"]


def test_train_without_matplotlib_leaves_it_out_and_warns_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    svg_figure._warn_unavailable.cache_clear()
    assert run(["train", "digits", "--method", "absgd(lam=2)", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "weights.svg" not in capsys.readouterr().out
    assert not (tmp_path / "weights.svg").exists()
    assert caplog.messages == ["pictures are omitted: they need matplotlib; install longtail[report]"]


def test_a_folder_without_a_run_has_none(tmp_path: Path) -> None:
    assert run_plots.write_plots(tmp_path) == []
