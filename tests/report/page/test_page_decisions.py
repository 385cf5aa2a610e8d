"""Curves, confusion and what follows from the verdict: what is drawn, and the command that is given."""

from __future__ import annotations

import inspect
import re
import shlex
from typing import Any

import pytest
from page_summaries import Parsed, full
from tests.cases import cases
from tests.report.report_summary import row, summary

from longtail.cli.compare import compare
from longtail.cli.train import train
from longtail.report.page.page import Page, Section
from longtail.report.page.sections import confusion, next_steps, recall_curves
from longtail.report.page.sections.next_steps import FLAGS, WITH_VALUE, training_command


def html(made: Section | None) -> str:
    assert made is not None
    return str(made.html)


def text(made: Section | None) -> str:
    return Parsed(html(made)).text


class TestCurves:
    def test_steps_stand_where_precision_changes(self) -> None:
        page = Page(full())
        drawn = re.findall(r'<polyline points="([^"]+)" class="curve s0"', html(recall_curves.section(page)))
        assert len(drawn) == 2  # of the reference, a class each
        points = [tuple(map(float, point.split(","))) for point in drawn[0].split()]
        assert len(points) == 6
        (x0, y0), (x1, y1), (x2, y2), *_, (x5, y5) = points
        assert (x2, y1) == (x1, y0)
        whole = x5 - x0
        assert (x1 - x0) / whole == pytest.approx(0.4, abs=1e-3)
        assert (y2 - y0) / (y5 - y0) == pytest.approx((1 - 0.7) / (1 - 0.3), abs=1e-3)  # ce has shift 2

    def test_areas_and_shares_are_a_table_and_few_methods_are_drawn(self) -> None:
        page = Page(full())
        page.rows.extend(row(f"m{i}", 0.5, [0.5] * 3, curves=_shifted(page, i)) for i in range(5))
        found = text(recall_curves.section(page))
        assert "ce 74.0 %, ldam 66.0 %, focal 70.0 %, m0 10.0 %" in found
        assert "m1" not in found
        assert "share of the class 20.0 80.0" in found

    def test_methods_with_the_curves_of_another_are_said_and_not_drawn(self) -> None:
        page = Page(full())
        page.rows[3]["curves"] = page.rows[2]["curves"]
        made = recall_curves.section(page)
        assert "'mixup' gives the probabilities of 'ce'." in text(made)
        assert html(made).count('class="curve s3"') == 0

    def test_without_curves_there_is_no_section(self) -> None:
        assert recall_curves.section(Page(summary())) is None


def _shifted(page: Page, shift: int) -> dict[str, Any]:
    return {name: one | {"ap": 0.1 + shift / 50} for name, one in page.rows[0]["curves"].items()}


class TestConfusion:
    def test_shares_of_each_class_of_the_reference_and_of_the_leader(self) -> None:
        made = html(confusion.section(Page(full())))
        assert re.findall(r"<h3>(\w+)</h3>", made) == ["ce", "ldam"]
        first = Parsed(made.split("<table")[1]).text
        # 20 test examples of a, of which ce (shift 2) decides 16 right; 5 of b; none of c
        assert "a 20 80.0 20.0 0 b 5 20.0 70.0 10.0 c 0 – – –" in first
        assert "Most frequent mistakes: 'a' as 'b' 20.0 % of 20, 'b' as 'a' 20.0 % of 5" in Parsed(made).text

    def test_pairs_of_many_classes(self) -> None:
        comparison = full()
        pairs = [{"true": "a", "predicted": "<b>", "share": 0.25, "count": 2.5}]
        for one in comparison["rows"]:
            one["confusion"] = {"pairs": pairs}
        assert html(confusion.section(Page(comparison))).count("<td>&lt;b&gt;</td>") == 2
        assert "a <b> 25.0 2.5" in text(confusion.section(Page(comparison)))

    def test_right_everywhere_and_none_at_all(self) -> None:
        comparison = full()
        comparison["rows"][2]["confusion"] = {"matrix": [[3, 0, 0], [0, 1, 0], [0, 0, 0]]}
        assert "No mistake." in text(confusion.section(Page(comparison)))
        assert confusion.section(Page(summary())) is None


class TestNextSteps:
    def test_the_leader_is_trained_on_every_row(self) -> None:
        comparison = full() | {
            "command": "longtail compare a.csv --label y --methods ce,ldam --seeds=2 --out 'my runs'"
        }
        found = text(next_steps.section(Page(comparison)))
        assert "Use ldam: it is shown to beat ce" in found
        assert "longtail train a.csv --label y --method ldam --all --comparison 'my runs'" in found

    def test_a_winner_that_trains_nothing_is_named_where_training_was_not_shown_to_beat_it(self) -> None:
        comparison = full() | {"retraining": {"sentence": "", "winners": []}}
        comparison["rows"][1] |= {"retrains": False}
        comparison["verdict"]["winners"] = ["ldam", "focal"]
        said = "focal is shown to beat ce, too, and corrects the scores of a model that is trained already"
        assert said in text(next_steps.section(Page(comparison)))
        comparison["retraining"]["winners"] = ["ldam"]
        assert said not in text(next_steps.section(Page(comparison)))

    def test_where_nothing_is_shown_plain_training_stays(self) -> None:
        comparison = full() | {"seeds": [0]}
        comparison["gain"] |= {"shown": False}
        comparison["verdict"]["winners"] = []
        found = text(next_steps.section(Page(comparison)))
        for part in ("Stay with ce", "ce-threshold", "--seeds 5", "--method ce --all"):
            assert part in found

    def test_without_a_verdict_nothing_follows(self) -> None:
        assert next_steps.section(Page(full() | {"verdict": None})) is None
        assert next_steps.section(Page(full() | {"gain": None})) is None

    @cases(
        ("command", "expected"),
        [
            ("longtail compare", "longtail train --method 'm(a=1)' --all --comparison runs/hand"),
            ("longtail compare x --json --val 0.2 --tune 5", "longtail train x --val 0.2 --method 'm(a=1)' --all "
             "--comparison runs/hand"),
            ("longtail compare 'a b' --out=o --drop c --drop d", "longtail train 'a b' --drop c --drop d --method "
             "'m(a=1)' --all --comparison o"),
            ("longtail compare x --metric positive_f1 --positive yes", "longtail train x --method 'm(a=1)' "
             "--all --comparison runs/hand"),
            ("longtail compare x --positive yes --objective=f1 --folds 5", "longtail train x --objective f1 --positive "
             "yes --val 0.2 --method 'm(a=1)' --all --comparison runs/hand"),
            ("longtail compare x --cost c.csv --metric cost --select val --val=0.3", "longtail train x --val=0.3 "
             "--cost c.csv --select val --method 'm(a=1)' --all --comparison runs/hand"),
            ("longtail compare x --cost c.csv --metric cost --objective mcc --val 0.3", "longtail train x --val 0.3 "
             "--objective mcc --method 'm(a=1)' --all --comparison runs/hand"),
            ("longtail compare x --select best-test", "longtail train x --method 'm(a=1)' --all"),
            ("longtail reproduce cifar10-lt-100", None),
            ("longtail.compare(X, y)", None),
            ("longtail compare 'unclosed", None),
            (None, None),
        ],
    )  # fmt: skip
    def test_the_command_has_the_data_of_the_comparison(self, command: str | None, expected: str | None) -> None:
        assert training_command(command, "m(a=1)", "hand") == expected

    def test_what_was_measured_under_another_prior_is_not_quoted(self) -> None:
        comparison = full() | {"question": {"decided_for": None, "target_prior": "uniform"}}
        assert "--all --comparison" not in text(next_steps.section(Page(comparison)))
        assert "--all --comparison" in text(next_steps.section(Page(full())))

    def test_every_option_of_compare_that_train_lacks_is_dropped(self) -> None:
        theirs = dict(inspect.signature(compare).parameters)
        lacking = [name for name in theirs if name not in inspect.signature(train).parameters]
        assert lacking
        for name in lacking:
            option = f"--{name.replace('_', '-')}"
            flag = isinstance(theirs[name].default, bool)
            assert option in (FLAGS if flag else WITH_VALUE), f"{option} of compare is passed on to train"
            words = [option] if flag else [option, "value"]
            command = shlex.join(["longtail", "compare", "x", *words, "--label", "y"])
            assert training_command(
                command,
                "ce",
                "x",
            ) == (f"longtail train x --label y --method ce --all --comparison {'value' if name == 'out' else 'runs/x'}")
