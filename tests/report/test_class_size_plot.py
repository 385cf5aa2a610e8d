"""Class sizes as bars and names as they are shown: names are data, whatever they hold."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from rich.cells import cell_len

from longtail.report.class_size_plot import BINS, bars, bars_svg
from longtail.report.printable import fitted, listed, shown

HOSTILE = [
    "<script>alert(1)</script>", "a & b", "\"'/><rect onload='x'/>", "\x1b[31mred\x00\x07", "\u202eevil\u200b",
    "x" * 5000, "two\nlines\u2028", "\ud800", "]]>", "$x_1$", "[bold]b[/bold]", "", "=1+1", "猫" * 30,
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


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
            lines = bars(HOSTILE[:12], [5] * 12, ascii_only=ascii_only).splitlines()
            assert len(lines) == 12
            mark = "#" if ascii_only else "█"
            assert len({cell_len(line.split(mark)[0]) for line in lines}) == 1
            assert all(cell_len(line) < 70 for line in lines)
        bars(HOSTILE, [1] * len(HOSTILE), ascii_only=True).encode("ascii")

    def test_a_class_with_nothing_has_no_bar(self) -> None:
        assert [line.count("█") for line in bars(["a", "b"], [3, 0]).splitlines()] == [30, 0]


def drawn(names: list[str], counts: list[int], **more: object) -> ElementTree.Element:
    return ElementTree.fromstring(bars_svg(names, counts, "title", **more))  # type: ignore[arg-type]


class TestSVG:
    def test_a_bar_is_as_long_as_the_class_is_large(self) -> None:
        root = drawn(["a", "b", "c"], [10, 200, 100])
        widths = [float(r.get("width", 0)) for r in root.findall(f"{SVG}rect")[1:]]
        assert widths == pytest.approx([420, 210, 21])
        texts = [t.text for t in root.findall(f"{SVG}text")]
        assert texts == ["title", "b", "200", "c", "100", "a", "10"]

    def test_hostile_names_are_text_and_nothing_else(self) -> None:
        for names in (HOSTILE, HOSTILE * 10):
            root = drawn(names, list(range(1, len(names) + 1)))
            assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "rect", "text", "line"}
            attributes = {name for element in root.iter() for name in element.keys()}  # noqa: SIM118
            assert not {name for name in attributes if name.startswith("on") or "href" in name}
            assert all(len(t.text or "") < 130 for t in root.findall(f"{SVG}text"))
        assert "<script>alert(1)</script>" in " ".join(drawn(HOSTILE, [1] * len(HOSTILE)).itertext())

    def test_ten_thousand_classes_stay_readable(self) -> None:
        text = bars_svg([f"class {j}" for j in range(10_000)], [10_000 - j for j in range(10_000)], "many")
        root = ElementTree.fromstring(text)
        assert len(root.findall(f"{SVG}rect")) == 1 + 2 * BINS
        assert len(root.findall(f"{SVG}text")) < 15
        assert len(text) < 60_000
        words = " ".join(root.itertext())
        assert "largest: class 0 (10,000)" in words
        assert "smallest: class 9999 (1)" in words
        assert "10,000 classes by size, 100 to a bar" in words

    def test_a_bin_reaches_from_its_smallest_to_its_largest_class(self) -> None:
        root = drawn([str(j) for j in range(200)], [1000] + [10] * 199)
        first_up, first_low, second_up = (float(r.get("height", 0)) for r in root.findall(f"{SVG}rect")[1:4])
        assert first_up > 2 * first_low
        assert first_low == second_up

    def test_groups_give_colours_and_a_key(self) -> None:
        groups = {"many": [0], "medium": [1], "few": [2]}
        root = drawn(["a", "b", "c"], [300, 50, 5], groups=groups, rule="by <rule>")
        colours = [r.get("fill") for r in root.findall(f"{SVG}rect")[1:]]
        assert colours[:3] == colours[3:]
        assert len(set(colours)) == 3
        assert "(by <rule>)" in " ".join(root.itertext())

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        assert bars_svg(["a", "b"], [2, 1], "t") == bars_svg(["a", "b"], [2, 1], "t")
        drawn(["a", "b"], [0, 0])
        drawn([str(j) for j in range(50)], [0] * 50)
