"""Recall against class size, as text and as SVG."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from report_summary import row, summary
from rich.cells import cell_len

from longtail.report import recall_plot


def test_a_line_for_every_class_and_method_from_the_largest_class_down() -> None:
    lines = recall_plot.text(summary()).splitlines()
    assert lines[0] == "class  examples  recall, %"
    assert [line.split()[:3] for line in lines[1::2]] == [["a", "100", "ce"], ["b", "50", "ce"], ["c", "33", "ce"]]
    assert [line.split()[0] for line in lines[2::2]] == ["ldam"] * 3
    assert [line.split()[-1] for line in lines[1:]] == ["90.0", "100.0", "95.0", "95.0", "100.0", "90.0"]


def test_a_bar_is_as_long_as_the_recall() -> None:
    found = summary(rows=[row("ldam", 0.5, [1.0, 0.5, 0.0]), row("ce", 0.5, [0.25, 1 / 60, 0.008])])
    lines = recall_plot.text(found).splitlines()[1:]
    assert [(line.count("█"), line.count("▌")) for line in lines] == [(7, 1), (30, 0), (0, 1), (15, 0), (0, 0), (0, 0)]
    assert [line.count("#") for line in recall_plot.text(found, ascii_only=True).splitlines()[1:]] == [
        7,
        30,
        0,
        15,
        0,
        0,
    ]
    recall_plot.text(found, ascii_only=True).encode("ascii")


def test_many_classes_are_grouped_and_none_is_lost() -> None:
    twelve, many = (recall_plot.text(summary(classes=n)).splitlines() for n in (12, 25))
    assert len(twelve) == 1 + 2 * 12
    assert len(many) == 1 + 2 * 10
    assert many[1].startswith("a .. b ")
    assert "100-50" in many[1]
    assert many[-2].split()[:3] == ["w", "..", "y"]


def test_a_group_shows_the_mean_of_what_is_known() -> None:
    recall: list[float | None] = [0.5] * 20
    recall[0], recall[1] = None, 0.25
    recall[2] = recall[3] = None
    found = summary(classes=20, rows=[row("ldam", 0.5, recall), row("ce", 0.5, recall)])
    values = [line.split()[-1] for line in recall_plot.text(found).splitlines()[1::2]]
    assert values == ["25.0", "–", *["50.0"] * 8]


def test_a_class_without_test_examples_shows_a_dash() -> None:
    found = summary(rows=[row("ldam", 0.5, [1.0, 0.5, None]), row("ce", 0.5, [1.0, 0.5, None])])
    assert [line.split()[-1] for line in recall_plot.text(found).splitlines()[-2:]] == ["–", "–"]


def test_long_names_are_cut_and_columns_stay_aligned() -> None:
    found = summary()
    found["data"]["classes"] = ["x" * 40, "b", "c"]
    lines = recall_plot.text(found).splitlines()
    assert len({line.index("ce ") for line in lines[1::2]}) == 1
    assert max(map(len, lines)) < 90


def test_a_name_that_is_cut_says_so() -> None:
    found = summary()
    found["data"]["classes"] = ["<script>alert(1)</script>", "猫" * 20, "\x1b[31m" + "r" * 30]
    for ascii_only, more in ((False, "…"), (True, "...")):
        lines = recall_plot.text(found, ascii_only=ascii_only).splitlines()[1::2]
        labels = [line[: line.index("  ")] for line in lines]
        assert all(label.rstrip().endswith(more) for label in labels), labels
        assert "\x1b" not in "".join(lines)
        assert len({cell_len(line[: line.index("ce ")]) for line in lines}) == 1
    assert recall_plot.text(found).splitlines()[1].startswith("<script>alert(1)</scrip…  ")
    recall_plot.text(found, ascii_only=True).encode("ascii")


def test_both_ends_of_a_run_of_long_names_are_seen() -> None:
    found = summary(classes=25)
    found["data"]["classes"] = [f"{j} is a long name" for j in range(25)]
    assert recall_plot.text(found).splitlines()[1].startswith("0 is a lo… .. 1 is a lo…  ")
    assert recall_plot.bars(found["data"]["classes"], [5] * 25).startswith("0 is a lo… .. 1 is a lo…  ")


def test_without_a_second_method_the_first_stands_alone_and_without_any_nothing() -> None:
    alone = recall_plot.text(summary(rows=[row("ce", 0.5, [1.0, 0.5, 0.0])], gain=None))
    assert len(alone.splitlines()) == 4
    assert recall_plot.text(summary(rows=[], gain=None)) == ""
    assert recall_plot.svg(summary(rows=[], gain=None)) is None


def test_class_sizes_as_bars() -> None:
    lines = recall_plot.bars(["a", "b", "c"], [1, 100, 50]).splitlines()
    assert [line.split()[0] for line in lines] == ["b", "c", "a"]
    assert [line.count("█") for line in lines] == [30, 15, 1]  # what is there is seen
    assert [line.split()[-1] for line in lines] == ["100", "50", "1"]
    assert len(recall_plot.bars([str(j) for j in range(100)], list(range(1, 101))).splitlines()) == 10


class TestSVG:
    @pytest.mark.parametrize("classes", [3, 60])
    def test_is_xml_and_the_same_on_a_second_call(self, classes: int) -> None:
        pytest.importorskip("matplotlib")
        drawn = recall_plot.svg(summary(classes=classes))
        assert drawn is not None
        assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
        assert recall_plot.svg(summary(classes=classes)) == drawn
        assert "ldam" in drawn

    @pytest.mark.parametrize("name", ["c", "a rather long name"])
    def test_labels_do_not_run_into_each_other(self, name: str) -> None:
        pytest.importorskip("matplotlib")
        found = summary(classes=28)
        found["data"]["classes"] = [f"{name}{j}" for j in range(28)]
        drawn = recall_plot.svg(found)
        assert drawn is not None
        root = ElementTree.fromstring(drawn)
        wide = float(root.get("width", "").removesuffix("pt"))
        turned = [
            t for t in root.iter("{http://www.w3.org/2000/svg}text") if "rotate(-90" in (t.get("transform") or "")
        ]
        assert len(turned) == (1 if name == "c" else 29)  # the axis is turned either way
        letters = 28 * max(len(f"{name}27"), 3)
        assert name != "c" or wide / letters > 5.5  # points a letter of 10 points takes

    def test_letters_that_the_font_lacks_are_drawn_without_a_word(self) -> None:
        pytest.importorskip("matplotlib")
        found = summary()
        found["data"]["classes"] = ["🦊", "猫", "\U0001f98a\u200d"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn = recall_plot.svg(found)
        assert drawn is not None
        assert "🦊" in drawn
        assert "猫" in drawn

    @pytest.mark.slow
    def test_a_cache_that_cannot_be_written_is_not_told(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        (tmp_path / "file").write_text("no folder")
        code = (
            "from longtail.report import recall_plot; from report_summary import summary;"
            "assert picture.svg(summary()).count('ldam')"
        )
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
            env={**os.environ, "MPLCONFIGDIR": str(tmp_path / "file" / "cache")},
        )  # fmt: skip
        assert found.stderr == ""

    def test_names_are_text_and_escaped(self) -> None:
        pytest.importorskip("matplotlib")
        found = summary()
        found["data"]["classes"] = ["<script>", "b & c", "$x_1$"]
        drawn = recall_plot.svg(found)
        assert drawn is not None
        root = ElementTree.fromstring(drawn)
        text = " ".join(root.itertext())
        assert "<script>" in text
        assert "b & c" in text
        assert "$x_1$" in text

    def test_what_is_not_measured_is_a_dash_and_no_bar(self) -> None:
        pytest.importorskip("matplotlib")
        for unknown in (0, 1):
            recall = [1.0, 0.5, None if unknown else 0.0]
            drawn = recall_plot.svg(summary(rows=[row("ldam", 0.5, recall), row("ce", 0.5, recall)]))
            assert drawn is not None
            assert "".join(ElementTree.fromstring(drawn).itertext()).count("–") == 2 * unknown

    def test_leaves_the_users_figures_and_settings_alone(self) -> None:
        matplotlib = pytest.importorskip("matplotlib")
        pyplot = pytest.importorskip("matplotlib.pyplot")
        before = dict(matplotlib.rcParams)
        assert recall_plot.svg(summary()) is not None
        assert {k: v for k, v in matplotlib.rcParams.items() if before[k] != v} == {}
        assert matplotlib.get_backend() != "svg"
        assert pyplot.get_fignums() == []

    def test_is_left_out_without_matplotlib(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
        assert recall_plot.svg(summary()) is None
