"""What the page draws from the records of trainings: losses, scores, weights, guessed labels; and what they cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from page_folders import records, trainings, write_trainings
from page_summaries import EVIL, Parsed, full, hostile
from tests.report.report_summary import row, summary

from longtail.report import page
from longtail.report.page.page import Page, Section
from longtail.report.page.run_records import number, stages, thinned
from longtail.report.page.sections import cost, learning, pseudo_labels, weights


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Each training under a method: ldam has that of ce, focal weights, ce a net, mixup and oracle as they are."""
    folder = tmp_path_factory.mktemp("trainings")
    return Page(write_trainings(folder, full(), trainings()), folder)


def text(made: Section | None) -> str:
    assert made is not None
    return Parsed(str(made.html)).text


def lines(made: Section | None, caption: str) -> list[list[str]]:
    """The cells of the table with that caption, its header first."""
    assert made is not None
    table = next(part for part in str(made.html).split("<table")[1:] if caption in part.split("</caption>")[0])
    body = table.split("</table>")[0]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in body.split("<tr")[1:]]


class TestLearning:
    def test_a_panel_for_each_training_and_those_that_share_one_together(self, drawn: Page) -> None:
        made = learning.section(drawn)
        table = lines(made, "Losses and scores")
        assert [line[0] for line in table[1:]] == ["ldam, oracle", "focal", "ce", "mixup"]
        assert table[1] == ["ldam, oracle", "4 train", "1", "0.25", "20.0", "80.0"]
        assert table[4][:4] == ["mixup", "2 first + 2 second", "1", "0.5"]
        assert "&#39;ldam&#39;, &#39;oracle&#39; share one training" in str(made.html)  # type: ignore[union-attr]

    def test_the_loss_falls_in_the_picture_as_in_the_records(self, drawn: Page) -> None:
        html = str(learning.section(drawn).html)  # type: ignore[union-attr]
        losses = [points.split() for points in re.findall(r'<polyline points="([^"]+)" class="curve s2"', html)]
        assert len(losses) == 4
        heights = [float(point.split(",")[1]) for point in losses[0]]
        # 1, 1/2, 1/3, 1/4: downward in the page is larger
        assert (heights[1] - heights[0]) / (heights[3] - heights[0]) == pytest.approx(0.5 / 0.75, abs=1e-3)
        assert html.count("axis dashed") == 1  # the one further stage

    def test_long_trainings_are_thinned_and_odd_records_are_no_points(self, tmp_path: Path) -> None:
        odd: list[dict[str, Any]] = [{"stage": "x", "epoch": 1}, {"stage": "x", "epoch": 2, "loss": None}]
        folder = tmp_path / "r"
        comparison = write_trainings(folder, full(), {"a": records(500), "b": odd, "c": [], "d": records(1), "e": []})
        html = str(learning.section(Page(comparison, folder)).html)  # type: ignore[union-attr]
        (points,) = re.findall(r'<polyline points="([^"]+)" class="curve s2"', html)
        assert len(points.split()) == 100
        (folder / "run-0" / "seed-0" / "metrics.jsonl").write_text("{no json")
        assert learning.section(Page(comparison, folder)) is None

    def test_without_folders_nothing_is_drawn(self) -> None:
        assert [one.section(Page(full())) for one in (learning, weights, pseudo_labels)] == [None] * 3


class TestWeights:
    def test_groups_are_means_of_the_classes_that_were_seen(self, drawn: Page) -> None:
        table = lines(weights.section(drawn), "Average instance weights")
        assert table == [
            ["method", "epoch", "many", "medium", "few"],
            ["focal", "1", "1.000", "0.500", "–"],
            ["focal", "3", "1.000", "2.000", "5.000"],
        ]

    def test_a_net_is_drawn_by_loss(self, drawn: Page) -> None:
        table = lines(weights.section(drawn), "Weights of the net")
        assert table[1:] == [["ce", "1", "0.500", "0.600", "2"], ["ce", "4", "0.500", "0.900", "2"]]

    def test_two_classes_have_a_line_each(self, tmp_path: Path) -> None:
        two = full()
        two["data"] |= {"classes": ["x", EVIL], "class_counts": [5, 2], "groups": {"rule": "", "many": None,
                        "medium": None, "few": None}}  # fmt: skip
        folder = tmp_path / "two"
        write_trainings(folder, two, {"a": records(2, mean_weights=[1.0, 3.0])})
        table = lines(weights.section(Page(two, folder)), "Average instance weights")
        assert [line[1:] for line in table[1:]] == [["1", "1.000", "3.000"], ["2", "1.000", "3.000"]]
        assert table[0][2] == "x"


class TestGuessedLabels:
    def test_shares_and_distances_of_the_last_epoch_that_has_them(self, drawn: Page) -> None:
        made = pseudo_labels.section(drawn)
        assert lines(made, "Guessed labels")[1:] == [["mixup", "75.0", "10.0", "0.500"]]
        assert made is not None
        assert made.title == "Guessed labels"

    def test_rows_without_labels_and_candidates_are_said_without_records_too(self) -> None:
        semi, partial = full(), full()
        semi["data"]["unlabeled"] = 40
        semi["rows"][0]["estimates"] = {"made": 5, "accepted": 2, "trainings": 1, "without": 0}
        partial["data"] |= {"labels": "candidates", "counts_known": False}
        first, second = pseudo_labels.section(Page(semi)), pseudo_labels.section(Page(partial))
        assert "40 unlabelled training examples" in text(first)
        assert "ldam accepted 2 of 5 estimates of class totals." in text(first)
        assert "A training row has a set of candidates" in text(second)


class TestCost:
    def test_seconds_spread_and_ratio(self, drawn: Page) -> None:
        table = lines(cost.section(drawn), "Seconds of each method")
        assert table[0] == ["method", "seconds a run", "from .. to", "times ce", "training"]
        assert table[1] == ["ldam", "2.5", "2.0 .. 3.0", "1.00", "its own: 200 train epochs"]

    def test_a_shared_training_is_named(self) -> None:
        shared = summary(
            rows=[
                row("ce", 0.5, [1.0] * 3, runs=[{"seed": 0, "folder": "ce-1/seed-0", "seconds": 1.0}]),
                row("posthoc", 0.5, [1.0] * 3, reuses="ce-1/seed-0", retrains=False),
                row("crt", 0.5, [1.0] * 3, reuses="ce-1/seed-0", seconds=5.0),
            ]
        )
        table = lines(cost.section(Page(shared)), "Seconds of each method")
        assert [line[-1] for line in table[1:]] == [
            "its own", "begins with that of ce, and trains nothing more", "begins with that of ce",
        ]  # fmt: skip
        assert "include it, though it was trained once" in text(cost.section(Page(shared)))


def test_hostile_names_stay_text_in_every_picture(tmp_path: Path) -> None:
    made = {
        kind: Parsed(page.render(write_trainings(tmp_path / kind, comparison, trainings()), tmp_path / kind))
        for kind, comparison in (("plain", full()), ("evil", hostile()))
    }
    assert made["plain"].tags.count("svg") == 9
    assert made["evil"].tags == made["plain"].tags


def test_helpers_of_records() -> None:
    assert thinned(list(range(500)), 3) == [0, 250, 499]
    assert thinned([1, 2], 2) == [1, 2]
    assert stages([{"stage": "a"}, {"stage": "a"}, {"stage": "b"}]) == [("a", 2), ("b", 1)]
    assert [number({"x": value}, "x") for value in (1, 0.5, None, True, "1", float("nan"))] == [1.0, 0.5, *[None] * 4]
