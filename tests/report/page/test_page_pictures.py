"""The pictures: where marks stand, what is cut, what is left out."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from page_summaries import Parsed, full
from tests.report.report_summary import summary

from longtail.report import page
from longtail.report.page.axes import Scale, linear, logarithmic, number
from longtail.report.page.page import Page
from longtail.report.page.picture import SHAPES, Picture
from longtail.report.page.sections import class_recall, differences, trade_off
from longtail.report.page.sections.differences import Contrast


class TestScale:
    def test_is_linear_between_its_ends(self) -> None:
        scale = Scale(-10, 30, 100, 500)
        assert [scale.at(value) for value in (-10, 0, 10, 30)] == [100, 200, 300, 500]
        assert Scale(0, 100, 300, 0).at(25) == 225

    def test_is_logarithmic_and_what_is_below_stands_at_its_end(self) -> None:
        scale = Scale(1, 1000, 0, 300, log=True)
        assert [round(scale.at(value), 9) for value in (1, 10, 100, 1000)] == [0, 100, 200, 300]
        assert scale.at(0) == scale.at(0.01) == 0

    @pytest.mark.parametrize(
        ("ends", "ticks"),
        [
            ((0, 100), [0, 20, 40, 60, 80, 100]),
            ((-7, 12), [-5, 0, 5, 10]),
            ((0.01, 0.06), [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]),
        ],
    )
    def test_ticks_are_round_numbers(self, ends: tuple[float, float], ticks: list[float]) -> None:
        assert Scale(*ends, 0, 1).ticks(6) == pytest.approx(ticks)

    @pytest.mark.parametrize(
        ("ends", "ticks"), [((2, 110), [2, 5, 10, 20, 50, 100]), ((1, 1e9), [1, 100, 1e4, 1e6, 1e8])]
    )
    def test_ticks_of_a_logarithmic_scale_are_few(self, ends: tuple[float, float], ticks: list[float]) -> None:
        assert Scale(*ends, 0, 1, log=True).ticks(6) == pytest.approx(ticks)

    def test_one_value_has_a_scale_too(self) -> None:
        for scale in (linear([5.0, 5.0], 0, 10, least=5.0), logarithmic([7, 7], 0, 10), logarithmic([0], 0, 10)):
            assert math.isfinite(scale.at(5.0))
            assert len(scale.ticks()) <= 8

    def test_numbers(self) -> None:
        assert [number(value) for value in (0.5, 2, 10, 20000, -5)] == ["0.5", "2", "10", "20,000", "-5"]


def test_a_picture_escapes_what_it_says() -> None:
    picture = Picture("p", "<a>", "b & c\x1b", 10, 10)
    picture.text((1, 2.50001), "<script>\u202e")
    for shape in SHAPES:
        picture.mark((5, 5), "mark s1", shape)
    text = str(picture.markup())
    assert '<title id="p-t">&lt;a&gt;</title><desc id="p-d">b &amp; c\\x1b</desc>' in text
    assert '<text x="1" y="2.5">&lt;script&gt;\\u202e</text>' in text
    assert text.count("<polygon") == len(SHAPES) - 1


def contrast(mean: float, low: float, high: float) -> Contrast:
    return Contrast("m", mean, low, high, "text")


class TestDifferences:
    def test_marks_say_what_is_shown(self) -> None:
        assert [contrast(2, *ends).look for ends in ((1, 3), (-3, -1), (-1, 3), (0, 3))] == [
            "good",
            "bad",
            "open",
            "open",
        ]

    def test_places_are_those_of_the_scale(self) -> None:
        lines = [contrast(10, 5, 15), contrast(-4, -6, -2)]
        markup, cut = differences.draw("p", "caption", lines)
        assert not cut
        zero = float(re.search(r'<line x1="([\d.]+)"[^>]*class="zero"', markup)[1])  # type: ignore[index]
        found = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="\2" class="range (\w+)"', markup)
        (a, _, b, good), (c, _, d, bad) = found
        assert (good, bad) == ("good", "bad")
        unit = (float(b) - float(a)) / 10
        assert float(a) == pytest.approx(zero + 5 * unit, abs=0.05)
        assert float(c) == pytest.approx(zero - 6 * unit, abs=0.05)
        assert float(d) == pytest.approx(zero - 2 * unit, abs=0.05)
        assert float(re.search(r'<circle cx="([\d.]+)"', markup)[1]) == pytest.approx(zero + 10 * unit, abs=0.05)  # type: ignore[index]

    def test_an_interval_much_wider_than_the_others_is_cut_and_has_an_arrow(self) -> None:
        usual = [contrast(2, 1, 3), contrast(4, 3, 5)]
        markup, cut = differences.draw("p", "caption", [*usual, contrast(1, -100, 100)])
        assert cut
        assert markup.count("<polyline") == 2
        assert ">-50<" not in markup
        assert not differences.draw("p", "caption", usual)[1]

    def test_are_sorted_and_twins_have_a_picture_of_their_own(self) -> None:
        made = differences.section(Page(full()))
        assert made is not None
        first, second = str(made.html).split("</svg>")[:2]
        names = re.findall(r'<text x="0" y="[\d.]+">(.*?)</text>', first)
        assert names == ["ldam", "focal", "mixup"]
        assert ">focal vs trees<" in second
        assert "Filled circle: shown to be better; triangle: shown to be worse; hollow: not shown." in first + second


class TestTradeOff:
    def test_names_are_apart_within_the_picture_and_in_order(self) -> None:
        heights = [10.0, 11.0, 12.0, 50.0, 99.0, 100.0]
        placed = trade_off.spread_out(heights, 10, 5, 100)
        assert all(b - a >= 10 - 1e-9 for a, b in pairwise(placed))
        assert placed[0] >= 5
        assert placed[-1] <= 100
        assert placed[3] == 50
        assert trade_off.spread_out([10, 40, 90], 10, 5, 100) == [10, 40, 90]

    def test_needs_groups_and_two_methods(self) -> None:
        assert trade_off.section(Page(full())) is not None
        one = full()
        one["rows"] = one["rows"][:1]
        assert trade_off.section(Page(one)) is None
        two = full()
        two["data"]["groups"] = {"rule": "none", "many": [], "medium": [], "few": []}
        assert trade_off.section(Page(two)) is None


class TestClassRecall:
    def test_the_table_has_sizes_intervals_and_marks(self) -> None:
        made = class_recall.section(Page(full()))
        assert made is not None
        lines = re.findall(r"<tr>(.*?)</tr>", str(made.html), re.S)
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines]
        assert cells == [
            ["class", "training examples", "test examples", "ce", "ldam", "oracle"],
            ["a", "100", "20", "–", "90.0 [80, 95]", "90.0 [80, 95]"],
            ["b", "50", "5 ‡", "60.0 [30, 80]", "60.0 [30, 80]", "60.0 [30, 80]"],
            ["c", "33", "0", "90.0 [80, 95]", "–", "–"],
        ]  # fmt: skip

    def test_a_class_without_a_test_example_has_no_mark(self) -> None:
        made = class_recall.section(Page(full()))
        assert made is not None
        marks = re.findall(r'class="mark (s\d)"', str(made.html))
        assert marks == ["s0", "s1", "s2", *["s0"] * 2, *["s1"] * 2, *["s2"] * 2]

    def test_more_classes_than_fit_are_taken_together(self) -> None:
        many = summary(classes=1001)
        many["data"]["class_counts"] = [2000 - j for j in range(1001)]
        many["data"]["groups"] = {"rule": "thirds", "many": [0], "medium": [1], "few": [2]}
        made = class_recall.section(Page(many))
        assert made is not None
        parsed = Parsed(str(made.html))
        assert parsed.tags.count("tr") == 1 + class_recall.MOST // 2
        assert "a mark is the mean of about 10 classes of one size" in parsed.text
        assert 'class="thin' not in made.html
        assert len(page.render(many)) < 100_000

    def test_expected_counts_are_called_so(self) -> None:
        partial = full()
        partial["data"]["counts_known"] = False
        made = class_recall.section(Page(partial))
        assert made is not None
        assert made.html.count("expected training examples") >= 2
