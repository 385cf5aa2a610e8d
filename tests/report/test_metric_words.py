"""A table by any metric: its column, digits, direction, and what was asked beside it."""

from __future__ import annotations

from typing import Any

from report_summary import row, summary

from longtail.report import metric_words, tables
from longtail.report.page.page import Page
from longtail.report.page.sections import differences

ASKED = {
    "label": "log loss", "higher_is_better": False, "fraction": False, "reads": "probabilities", "positive": "c",
    "positive_by_rarity": True, "of_one_class": False, "cost": None, "decided_for": None, "target_prior": None,
}  # fmt: skip


def by_loss(**asked: Any) -> dict[str, Any]:
    better = {"mean": -0.25, "low": -0.4, "high": -0.1}
    found = {"log_loss": {"mean": 0.5, "std": 0.0123, "low": 0.4, "high": 0.6}}
    rows = [
        row("ldam", 0.7, [0.9, 0.8, 0.7], metrics=found, difference=better),
        row("ce", 0.6, [0.9, 0.8, 0.7], metrics={"log_loss": {**found["log_loss"], "mean": 0.75}}, difference=None),
    ]
    return summary(metric="log_loss", question={**ASKED, **asked}, rows=rows)


def test_another_metric_stands_first_in_its_own_digits() -> None:
    made = by_loss()
    assert tables.header(made)[:3] == ["method", "log loss", "vs ce"]
    assert tables.cells(made)[0][:3] == ["ldam", "0.500 ± 0.012", "-0.250 [-0.400, -0.100]"]
    lines = tables.about(made)
    assert "Log loss: lower is better; a difference below 0 is a gain." in lines
    assert "Log loss is of probabilities under the training prior." in lines
    assert any("vs ce: paired difference with its simultaneous 95 % interval" in line for line in lines)


def test_what_was_asked_beside_it_is_said() -> None:
    lines = metric_words.about(by_loss(of_one_class=True, decided_for="least expected cost", target_prior="uniform"))
    assert lines[1:] == [
        "The class that is meant: 'c', the rarest in training (--positive names another).",
        "Decided for: least expected cost; by this rule in every row, not the method's own.",
        "Probabilities are under the prior uniform.",
    ]
    named = metric_words.about(by_loss(of_one_class=True, positive_by_rarity=False))
    assert "The class that is meant: 'c'." in named


def test_a_table_of_before_says_nothing_more() -> None:
    assert metric_words.about(summary()) == []
    assert tables.header(summary())[1].startswith("bal. acc.")


def test_the_picture_has_better_where_the_metric_is_lower() -> None:
    made = differences.section(Page(by_loss()))
    assert made is not None
    assert "← better" in made.html
    assert "worse →" in made.html
    assert "mark good" in made.html  # an interval below 0
    assert "in log loss with simultaneous 95 % intervals" in made.html
    plain = differences.section(Page(summary()))
    assert plain is not None
    assert "← worse" in plain.html
    assert "in balanced accuracy, points, with" in plain.html
