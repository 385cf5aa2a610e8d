"""Class sizes as bars and names as they are shown: names are data, whatever they hold."""

from __future__ import annotations

import sys

import pytest
from rich.cells import cell_len
from svg_shapes import SVG, bars, parsed, texts

from longtail.report import class_size_plot, svg_figure
from longtail.report.class_size_plot import BINS, MOST_NAMED, text
from longtail.report.printable import fitted, listed, shown

HOSTILE = [
    "<script>alert(1)</script>", "a & b", "\"'/><rect onload='x'/>", "\x1b[31mred\x00\x07", "\u202eevil\u200b",
    "x" * 5000, "two\nlines\u2028", "\ud800", "]]>", "$x_1$", "[bold]b[/bold]", "", "=1+1", "猫" * 30,
    "\ufffe", "_hidden",
]  # fmt: skip


class TestNames:
    def test_what_cannot_be_seen_is_escaped(self) -> None:
        assert shown("a\x1b[31m\n\t\u202e\ud800\u200b\u2028") == r"a\x1b[31m\n\t\u202e\ud800\u200b\u2028"

    def test_plain_names_of_any_script_stay(self) -> None:
        for name in ("cat", "naïve é", "猫", "عربي", "🐛", ":bug:", "[b]", "a b", ""):
            assert shown(name) == name

    def test_long_names_are_cut_to_the_length(self) -> None:
        assert shown("x" * 40) == "x" * 40
        assert shown("x" * 41) == "x" * 39 + "…"
        assert shown("x" * 41, ascii_only=True) == "x" * 37 + "..."
        assert len(shown("\x1b" * 10**6)) == 40
        assert shown("é", ascii_only=True) == r"\xe9"

    def test_fitted_is_as_wide_as_asked_and_says_what_it_cut(self) -> None:
        assert fitted("ab", 4) == "ab  "
        assert fitted("abcdef", 4) == "abc…"
        assert fitted("abcdef", 5, ascii_only=True) == "ab..."
        assert fitted("猫猫猫", 4) == "猫 …"
        assert fitted("猫猫", 4) == "猫猫"

    def test_a_list_says_how_many_more(self) -> None:
        assert listed(["a", "b"]) == "'a', 'b'"
        assert listed(list("abcdefg"), most=2) == "'a', 'b' and 5 more"


class TestBars:
    def test_hostile_names_keep_the_columns(self) -> None:
        for ascii_only in (False, True):
            lines = text(HOSTILE[:12], [5] * 12, ascii_only=ascii_only).splitlines()
            assert len(lines) == 12
            mark = "#" if ascii_only else "█"
            assert len({cell_len(line.split(mark)[0]) for line in lines}) == 1
            assert all(cell_len(line) < 70 for line in lines)
        text(HOSTILE, [1] * len(HOSTILE), ascii_only=True).encode("ascii")

    def test_a_class_with_nothing_has_no_bar(self) -> None:
        assert [line.count("█") for line in text(["a", "b"], [3, 0]).splitlines()] == [30, 0]


class TestSVG:
    pytestmark = pytest.mark.skipif(not svg_figure.available(), reason="needs matplotlib")

    def test_a_bar_is_as_long_as_the_class_is_large(self) -> None:
        svg = class_size_plot.svg(["a", "b", "c"], [10, 200, 100], "title")
        longest, half, short = (bar.width for bar in bars(svg))
        assert (half / longest, short / longest) == pytest.approx((1 / 2, 1 / 20), rel=1e-3)
        assert sorted(texts(svg)) == sorted(["title", "b", "200", "c", "100", "a", "10"])

    def test_one_example_beside_thousands_is_seen_and_none_is_not(self) -> None:
        one, none = (bar.width for bar in bars(class_size_plot.svg(["a", "b", "c"], [9000, 1, 0], "t"))[1:])
        assert one > 1
        assert none == 0

    @pytest.mark.slow
    def test_hostile_names_are_text_and_nothing_else(self) -> None:
        for names in (HOSTILE, HOSTILE * 10):
            svg = class_size_plot.svg(names, list(range(1, len(names) + 1)), names[0], {"many": [0]}, rule=names[9])
            assert not list(parsed(svg).iter(f"{SVG}script"))
            attributes = {name for element in parsed(svg).iter() for name in element.keys()}  # noqa: SIM118
            assert not {name for name in attributes if name.startswith("on")}
            assert all(len(text) < 130 for text in texts(svg))
            assert {"<script>alert(1)</script>", "$x_1$"} <= set(texts(svg))
        assert {"]]>", "[bold]b[/bold]", r"\ufffe"} <= set(texts(class_size_plot.svg(HOSTILE, [1] * len(HOSTILE), "t")))

    def test_letters_that_take_two_columns_have_room(self) -> None:
        def left(name: str) -> float:
            return min(x for x, _ in bars(class_size_plot.svg([name, "b"], [2, 1], "t"))[0].points)

        assert left("猫" * 10) > left("e" * 20)

    @pytest.mark.parametrize("classes", [1, 2, 40, 41, 100])
    def test_each_class_has_its_bar(self, classes: int) -> None:
        svg = class_size_plot.svg([f"class {j}" for j in range(classes)], [classes - j for j in range(classes)], "t")
        sizes = [(bar.width if classes <= MOST_NAMED else bar.height) for bar in bars(svg)]
        assert len(sizes) == classes * (1 if classes <= MOST_NAMED else 2)
        assert sizes[:classes] == sorted(sizes[:classes], reverse=True)

    def test_ten_thousand_classes_stay_readable(self) -> None:
        svg = class_size_plot.svg([f"class {j}" for j in range(10_000)], [10_000 - j for j in range(10_000)], "many")
        assert len(bars(svg)) == 2 * BINS
        assert len(texts(svg)) < 15
        assert len(svg or "") < 60_000
        words = " ".join(texts(svg))
        assert "largest: class 0 (10,000), smallest: class 9999 (1)" in words
        assert "10,000 classes by size, 100 to a bar" in words

    def test_a_bin_reaches_from_its_smallest_to_its_largest_class(self) -> None:
        drawn = bars(class_size_plot.svg([str(j) for j in range(200)], [1000] + [10] * 199, "t"))
        first, second, first_low = drawn[0].height, drawn[1].height, drawn[BINS].height
        assert first > 2 * first_low
        assert first_low == second

    def test_groups_give_colours_and_a_key(self) -> None:
        groups = {"many": [0], "medium": [1], "few": [2]}
        svg = class_size_plot.svg(["a", "b", "c"], [300, 50, 5], "t", groups, rule="by <rule>")
        assert [bar.colour for bar in bars(svg)] == list(class_size_plot.GROUPS.values())
        assert {"by <rule>", "many: 1 classes", "few: 1 classes"} <= set(texts(svg))

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        import matplotlib

        first = class_size_plot.svg(["a", "b"], [2, 1], "t")
        with matplotlib.rc_context({"axes.grid": True, "font.size": 20, "svg.fonttype": "path"}):
            assert class_size_plot.svg(["a", "b"], [2, 1], "t") == first
        assert class_size_plot.svg(["a", "b"], [0, 0], "t") is not None
        assert class_size_plot.svg([str(j) for j in range(50)], [0] * 50, "t") is not None


def test_without_matplotlib_pictures_are_omitted_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    svg_figure._warn_unavailable.cache_clear()
    assert class_size_plot.svg(["a"], [1], "t") is None
    assert class_size_plot.svg(["a"], [1], "t") is None
    assert caplog.messages == ["pictures are omitted: they need matplotlib; install longtail[report]"]
