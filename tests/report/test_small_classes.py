"""Classes with fewer than 10 test examples are marked, in the table, in the terminal's bars and in recall.svg."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from report_summary import METRICS, row, summary

from longtail.comparison.evidence.recall_intervals import recall_intervals, varies_by_seed
from longtail.report import recall_plot, small_classes, tables


def with_tests(*tested: int, **changes: Any) -> dict[str, Any]:
    comparison = summary(**changes)
    comparison["data"]["test_counts"] = comparison["data"]["test_rows"] = list(tested)
    for one in comparison["rows"]:
        one["recall_interval"] = recall_intervals(one["recall"], tested)
    return comparison


def test_the_columns_they_are_in_are_marked_and_the_mark_is_explained() -> None:
    assert tables.header(with_tests(30, 9, 4))[3:6] == ["many", "medium ‡", "few ‡"]
    notes = [line for line in tables.about(with_tests(30, 9, 4)) if "‡" in line]
    assert notes == [
        "‡ has classes with fewer than 10 test examples, where a single one moves the recall by more than 10 points: "
        "'c' 4, 'b' 9."
    ]
    for enough in (with_tests(30, 10, 10), with_tests(30, 10, 0)):
        assert "‡" not in "".join([*tables.header(enough), *tables.about(enough)])


def test_without_groups_the_means_over_classes_are_marked() -> None:
    comparison = with_tests(30, 4, classes=2, rows=[row("ce", 0.5, [0.9, 0.5], difference=None)], gain=None)
    comparison["data"]["groups"] = {"rule": "none", "many": [], "medium": [], "few": []}
    assert tables.header(comparison)[:4] == ["method", "bal. acc. ‡", "vs ce", "accuracy"]


def test_rows_count_and_not_what_they_weigh() -> None:
    comparison = summary()
    comparison["data"] |= {"test_counts": [3.5, 3.5, 3.5], "test_rows": [70, 70, 70]}
    assert small_classes.small_classes(comparison) == set()


def test_their_bars_have_the_number_tested_a_mark_and_an_interval() -> None:
    lines = recall_plot.text(with_tests(30, 10, 4)).splitlines()
    assert lines[0] == "class  examples  tested    recall, %"
    assert lines[1].split()[:4] == ["a", "100", "30", "ce"]
    assert lines[5].split()[:5] == ["c", "33", "4", "‡", "ce"]
    assert lines[5].endswith("100.0 [51, 100]")
    assert lines[6].endswith("90.0 [42, 99]")
    assert lines[-1] == "‡ fewer than 10 test examples; [95 % interval of the recall]"
    assert not any("[" in line for line in lines[:5])
    assert "tested" not in recall_plot.text(summary())
    recall_plot.text(with_tests(30, 10, 4), ascii_only=True).encode("ascii")


def test_a_run_of_classes_is_marked_where_one_of_them_is() -> None:
    rows = [row(name, 0.5, [0.5] * 25) for name in ("ldam", "ce")]
    lines = recall_plot.text(with_tests(*[50 - 2 * j for j in range(25)], classes=25, rows=rows)).splitlines()[1:-1:2]
    assert [" ‡ " in line for line in lines] == [False] * 8 + [True] * 2
    assert lines[-1].split()[:5] == ["w", "..", "y", "4", "2-6"]


def test_bars_become_shorter_where_the_terminal_is_narrow() -> None:
    comparison = with_tests(
        30, 10, 4, rows=[row("logit-adjusted-posthoc", 0.9, [1.0, 0.9, 0.8]), row("ce", 0.5, [1.0] * 3)]
    )
    for room in (76, 80, 118):
        assert max(map(len, recall_plot.text({**comparison, "gain": None}, room=room).splitlines())) <= room
    assert recall_plot.text(comparison, room=118) == recall_plot.text(comparison)


class TestSVG:
    def drawn(self, *tested: int, **changes: Any) -> ElementTree.Element:
        pytest.importorskip("matplotlib")
        text = recall_plot.svg(with_tests(*tested, **changes))
        assert text is not None
        return ElementTree.fromstring(text)

    def test_has_the_numbers_tested_and_an_interval_at_every_bar(self) -> None:
        root = self.drawn(30, 12, 10)
        text = " ".join(" ".join(root.itertext()).split())
        assert all(line in text for line in ("a 100 30", "b 50 12", "c 33 10", "line: 95 % interval"))
        assert "fewer than 10" not in text
        assert sum((g.get("id") or "").startswith("LineCollection") for g in root.iter()) == 2

    def test_pales_the_bars_that_rest_on_few_test_examples(self) -> None:
        def pale(root: ElementTree.Element) -> int:
            return sum("opacity: 0.45" in (path.get("style") or "") for path in root.iter())

        marked = self.drawn(30, 9, 4)
        assert pale(marked) == 4 + 1  # two classes, two methods, and the legend
        assert "pale: fewer than 10 test examples" in " ".join(marked.itertext())
        assert pale(self.drawn(30, 12, 10)) == 0
        assert pale(self.drawn(*[40] * 58, 9, 1, classes=60, rows=self.level(60))) == 4 + 1

    def level(self, classes: int) -> list[dict[str, Any]]:
        return [row(name, 0.5, [0.5] * classes) for name in ("ldam", "ce")]


def test_the_intervals_are_wilsons_of_what_was_tested() -> None:
    intervals = recall_intervals([0.5, 1.0, None, 0.0], [4, 3, 0, 3])
    assert intervals[0] == pytest.approx([0.150, 0.850], abs=1e-3)
    assert intervals[1] == pytest.approx([0.4385, 1.0], abs=1e-3)
    assert intervals[2] is None
    assert intervals[3] == pytest.approx([0.0, 0.5615], abs=1e-3)


def test_no_deviation_is_printed_of_what_does_not_vary_with_the_seed() -> None:
    constant = row("logistic", 0.9, [0.9] * 3, std=dict.fromkeys(METRICS, 0.0), varies=False)
    comparison = summary(rows=[constant, *summary()["rows"]])
    assert [line[1] for line in tables.cells(comparison)] == ["90.0", "87.7 ± 1.2", "75.0 ± 1.2"]
    assert "No ±: every seed gives the same (logistic)." in tables.about(comparison)
    for form in (tables.plain, tables.markdown, tables.html):
        assert "± 0.0" not in form(comparison)
    one = summary(seeds=[0], rows=[{**constant, "runs": [{"seed": 0}]}])
    assert not any("every seed" in line for line in tables.about(one))


def test_a_row_varies_if_any_of_its_numbers_does() -> None:
    scores = [{"balanced_accuracy": 1.0, "ece": ece} for ece in (0.1, 0.1, 0.2)]
    assert varies_by_seed(scores)
    assert not varies_by_seed(scores[:2])
