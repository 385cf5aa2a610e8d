"""The picture of average weights: from records alone, the same bytes each time, whatever the names hold."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from longtail.cli import run
from longtail.report.weights import leave, weights_svg

SVG = "{http://www.w3.org/2000/svg}"


def records(*weights: list[float | None] | None) -> list[dict[str, Any]]:
    return [{"stage": "train", **({} if w is None else {"mean_weights": w})} for w in weights]


def drawn(svg: str | None, tag: str) -> list[ElementTree.Element]:
    assert svg is not None
    return list(ElementTree.fromstring(svg).iter(f"{SVG}{tag}"))


def test_a_line_for_each_class_from_the_largest_to_the_smallest() -> None:
    svg = weights_svg(records([1.0, 2.0], [0.5, 4.0]), ["rare", "common"], [5, 50], "t")
    lines = drawn(svg, "polyline")
    assert [line.get("stroke") for line in lines] == ["#2f6690", "#d1495b"]  # blue: the largest
    heights = [[float(p.split(",")[1]) for p in str(line.get("points")).split()] for line in lines]
    # 4 is the top of the picture, 0 its ground; common goes 2 -> 4, rare 1 -> 0.5
    top, ground = 52.0, 312.0
    assert heights == [[(top + ground) / 2, top], [ground - 260 / 4, ground - 260 / 8]]
    texts = [t.text for t in drawn(svg, "text")]
    assert "common (50)" in texts
    assert "rare (5)" in texts


def test_a_class_that_was_not_seen_leaves_a_gap_and_a_lone_epoch_is_a_point() -> None:
    svg = weights_svg(records([1.0, 1.0], [1.0, None], [1.0, 2.0]), ["a", "b"], [3, 1], "t")
    assert len(drawn(svg, "polyline")) == 1
    assert len(drawn(svg, "circle")) == 2


def test_weights_that_are_close_together_are_seen_apart_and_the_axis_says_so() -> None:
    svg = weights_svg(records([1.0, 1.0], [0.998, 1.03]), ["a", "b"], [2, 1], "t")
    first, second = ([float(p.split(",")[1]) for p in str(x.get("points")).split()] for x in drawn(svg, "polyline"))
    assert first[1] - second[1] > 200  # of 260
    assert first[0] == second[0]
    texts = [str(t.text) for t in drawn(svg, "text")]
    assert {"1", "1.01", "1.02", "1.03"} <= set(texts)
    assert any("the axis does not start at 0" in text for text in texts)
    assert "does not start" not in str(weights_svg(records([1.0, 3.0]), ["a", "b"], [2, 1], "t"))


def test_many_classes_are_ten_lines_of_means() -> None:
    counts = [1000 - j for j in range(100)]
    svg = weights_svg(
        records([float(j // 10) for j in range(100)], [1.0] * 100), [f"c{j}" for j in range(100)], counts, "t"
    )
    assert len(drawn(svg, "polyline")) == 10
    starts = [float(str(line.get("points")).split()[0].split(",")[1]) for line in drawn(svg, "polyline")]
    assert starts == pytest.approx([312 - 260 * j / 9 for j in range(10)], abs=0.06)


def test_without_weights_there_is_no_picture_and_a_new_stage_is_marked() -> None:
    assert weights_svg(records(None, None), ["a", "b"], [2, 1], "t") is None
    two = records(None, [1.0, 2.0], [1.0, 3.0])
    two[0]["stage"] = "first"
    svg = weights_svg(two, ["a", "b"], [2, 1], "t")
    assert [line for line in drawn(svg, "line") if line.get("stroke-dasharray")]
    assert "train" in [t.text for t in drawn(svg, "text")]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "\"'/>", "\x1b[31m", "x" * 5000, "\ud800", ""])
def test_names_are_data(name: str) -> None:
    svg = weights_svg(records([1.0, 2.0]), [name, "b"], [2, 1], name)
    assert not drawn(svg, "script")
    assert svg == weights_svg(records([1.0, 2.0]), [name, "b"], [2, 1], name)
    assert len(str(svg)) < 6000
    str(svg).encode()


def test_huge_weights_are_drawn(tmp_path: Path) -> None:
    assert len(drawn(weights_svg(records([1.0, 1e12], [1.0, 2e300]), ["a", "b"], [2, 1], "t"), "polyline")) == 2


@pytest.mark.slow
def test_train_and_compare_leave_it_and_it_is_not_drawn_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "digits", "--method", "absgd(lam=2)", "--epochs", "2", "--out", str(out)]
    assert run(arguments) == 0
    assert "weights.svg" in capsys.readouterr().out
    lines = [json.loads(line)["mean_weights"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [len(line) for line in lines] == [10, 10]
    assert len(drawn((out / "weights.svg").read_text(), "polyline")) == 10
    stamp = (out / "weights.svg").stat().st_mtime_ns
    assert run(arguments) == 0
    assert (out / "weights.svg").stat().st_mtime_ns == stamp
    table = tmp_path / "table"
    methods = "ce,absgd(lam=2)"
    assert (
        run(
            [
                "compare",
                "digits",
                "--methods",
                methods,
                "--seeds",
                "1",
                "--epochs",
                "2",
                "--jobs",
                "1",
                "--out",
                str(table),
            ]
        )
        == 0
    )
    assert [p.parts[-3].partition("-")[0] for p in table.glob("*/*/weights.svg")] == ["absgd"]


def test_a_folder_without_a_run_has_none(tmp_path: Path) -> None:
    assert leave(tmp_path) is None
