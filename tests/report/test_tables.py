"""The table in every form, on a comparison written by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import pytest
from report_summary import METRICS, row, summary
from rich.console import Console

from longtail.cli import comparison_output
from longtail.report import files, metric_words, recall_plot, tables
from longtail.report.comma_separated import comma_separated


def test_cells_are_percent_with_deviation_and_interval() -> None:
    assert tables.header(summary()) == [
        "method", "bal. acc.", "vs ce", "many", "medium", "few", "accuracy", "ECE", "seconds",
    ]  # fmt: skip
    assert tables.cells(summary()) == [
        ["ldam", "87.7 ± 1.2", "+10.0 [-2.0, +22.0]", "87.7", "87.7", "87.7", "87.7", "87.7", "2.5"],
        ["ce", "75.0 ± 1.2", "", "75.0", "75.0", "75.0", "75.0", "75.0", "2.5"],
    ]


@pytest.mark.parametrize(
    ("metric", "second"), [("accuracy", "bal. acc."), ("macro_f1", "bal. acc."), ("balanced_accuracy", "accuracy")]
)
def test_the_metric_stands_first_and_another_beside_it(metric: str, second: str) -> None:
    header = tables.header(summary(metric=metric))
    assert header[1] == metric_words.SHORT[metric]
    assert header[6] == second
    assert len(header) == len(tables.cells(summary(metric=metric))[0])


def test_the_reference_has_the_name_that_the_summary_gives() -> None:
    rows = [summary()["rows"][0], row("cc", 0.75, [0.8] * 3, difference=None, comparable=False, recipe_changes={})]
    comparison = summary(reference="cc", rows=rows, verdict={**summary()["verdict"], "sentence": "ldam leads cc."})
    assert tables.header(comparison)[2] == "vs cc"
    assert "Groups: thirds. vs cc: paired" in tables.about(comparison)[1]
    assert "1.50x the time of cc." in tables.verdict_lines(comparison)[-1]
    untold = "No verdict: it needs finished runs of cc and of another method under the recipe of cc."
    assert tables.verdict_lines({**comparison, "verdict": None}) == [untold]
    for text in (
        tables.plain(comparison),
        tables.markdown(comparison),
        tables.html(comparison),
        comma_separated(comparison),
    ):
        assert not re.search(r"\bce\b|_ce_", text)


@pytest.mark.parametrize(("epochs", "words"), [(1, "1 epoch of 7 steps"), (3, "3 epochs of 7 steps")])
def test_one_epoch_is_one(epochs: int, words: str) -> None:
    comparison = summary(recipe={**summary()["recipe"], "epochs": epochs, "steps": 7})
    assert f", {words}, last epoch." in tables.about(comparison)[0]


def test_context_is_marked_and_explained() -> None:
    beside = row("ce", 0.9, [0.9] * 3, difference=None, role="context")
    comparison = summary(task="self-supervised", rows=[*summary()["rows"], beside])
    assert [line[0] for line in tables.cells(comparison)] == ["ldam", "ce", "ce §"]
    line = "§ context: shown beside self-supervised methods, outside the ranking and the verdict (ce)."
    assert line in tables.about(comparison)
    assert not [line for line in tables.about(summary()) if line.startswith("§")]


def test_what_is_not_known_is_a_dash() -> None:
    unknown = row("ce", 0.5, [None] * 3, mean=dict.fromkeys(METRICS), std=dict.fromkeys(METRICS), difference=None)
    line = tables.cells(summary(rows=[unknown]))[0]
    assert line == ["ce", "–", "", "–", "–", "–", "–", "–", "2.5"]
    one_seed = row("ce", 0.5, [0.5] * 3, std=dict.fromkeys(METRICS))
    assert tables.cells(summary(rows=[one_seed]))[0][1] == "50.0"


def test_a_shared_training_is_marked_and_explained() -> None:
    shared = summary(rows=[row("posthoc", 0.8, [0.8] * 3, retrains=False, reuses="ce-00/seed-0"), *summary()["rows"]])
    assert [line[0] for line in tables.cells(shared)] == ["posthoc *", "ldam", "ce"]
    assert "* shares the training of another row (posthoc); its seconds include that training." in tables.about(shared)


def test_it_says_what_was_measured() -> None:
    first, second = tables.about(summary())
    assert first == (
        "hand: 183 training examples, 3 classes of 100 to 33 (ratio 3.03), 30 test examples; 2 seeds, 200 epochs, "
        "last epoch."
    )
    assert second == "Groups: thirds. vs ce: paired difference in points with its simultaneous 95 % interval."
    assert "1 seed, " in tables.about(summary(seeds=[0]))[0]
    assert "(one seed: test examples only)" in tables.about(summary(seeds=[0]))[1]


def test_groups_of_classes_of_one_size_are_said_to_say_nothing() -> None:
    data = {**summary()["data"], "class_counts": [2, 2, 2]}
    assert tables.about(summary(data=data))[1].startswith(
        "Groups: thirds, but every class has 2: which group it is in says nothing. vs ce:"
    )


def test_two_classes_have_no_columns_of_groups_but_in_the_csv() -> None:
    groups = {"rule": "no groups below three classes", "many": [], "medium": [], "few": []}
    unknown = dict.fromkeys(tables.GROUPS)
    rows = [row("ce", 0.5, [0.9, 0.1], mean={**dict.fromkeys(METRICS, 0.5), **unknown}, difference=None)]
    comparison = summary(classes=2, rows=rows, gain=None)
    comparison["data"]["groups"] = groups
    assert tables.header(comparison) == ["method", "bal. acc.", "vs ce", "accuracy", "ECE", "seconds"]
    assert tables.cells(comparison) == [["ce", "50.0 ± 1.2", "", "50.0", "50.0", "2.5"]]
    for form in (tables.plain, tables.markdown, tables.html):
        assert "medium" not in form(comparison)
        assert "no groups below three classes" in form(comparison)
    assert "medium" in comma_separated(comparison).splitlines()[0]


def test_what_the_seeds_say_is_noted_once() -> None:
    def noted(df: int, *notes: str) -> list[str]:
        verdict = {**summary()["verdict"], "statistics": {"df": df, "notes": list(notes)}}
        return [line for line in tables.about(summary(verdict=verdict)) if line.startswith("Note")]

    assert noted(4, "ldam varies much more") == ["Note: ldam varies much more."]
    # of one seed the sentence of the verdict says so already
    assert noted(0, "one seed: intervals", "ldam predicts the same as ce") == ["Note: ldam predicts the same as ce."]
    assert not [line for line in tables.about(summary(verdict=None)) if line.startswith("Note")]


def test_it_says_what_failed_what_is_missing_and_what_to_note() -> None:
    missing = [{"method": m, "seed": s} for m in ("ldam", "focal") for s in (0, 1)]
    failed = [{"method": "focal", "seed": 0, "error": "ValueError: no"}]
    data = {**summary()["data"], "notes": ["one class cannot be measured"]}
    lines = tables.about(summary(missing=missing, failed=failed, data=data))
    assert "Note: one class cannot be measured." in lines
    assert "FAILED: focal, seed 0: ValueError: no" in lines
    assert lines[-1] == "3 runs were not begun; give the same command again to run what is missing."
    assert tables.about(summary(missing=missing[:1]))[-1].startswith("1 run was not begun")


class TestVerdict:
    def test_the_gain_is_one_line(self) -> None:
        assert tables.verdict_lines(summary()) == [
            "ldam leads ce.",
            "What you gain with ldam: recall of the rarest class 25.0 -> 50.0 %, of the 2 largest 90.0 -> 85.0 %, "
            "1.50x the time of ce.",
        ]

    def test_what_is_not_shown_is_not_called_a_gain(self) -> None:
        gain = {**summary()["gain"], "shown": False, "few_classes": 3}
        line = tables.gain_line(summary(gain=gain))
        assert line is not None
        assert line.startswith("Not shown to be a gain with ldam: recall of the 3 rarest classes 25.0 -> 50.0 %")

    def test_what_did_not_rise_is_not_called_a_gain_and_what_did_is_named(self) -> None:
        """The rarest class stays at 0, the class in the middle gains: shown in balanced accuracy all the same."""
        gain = {**summary()["gain"], "few": [0.0, 0.0004], "many": [0.999, 0.864], "many_classes": 1}
        rows = [row("ldam", 0.5, [0.864, 0.717, 0.0004]), row("ce", 0.4, [0.999, 0.315, 0.0])]
        assert tables.gain_line(summary(gain=gain, rows=rows)) == (
            "What changes with ldam: recall of 'b' 31.5 -> 71.7 %, of the rarest class 0.0 -> 0.0 %, "
            "of the largest 99.9 -> 86.4 %, 1.50x the time of ce."
        )
        nothing = [row("ldam", 0.5, [0.9, None, 0.0]), row("ce", 0.4, [0.9, None, 0.0])]
        line = tables.gain_line(summary(gain=gain, rows=nothing))
        assert line is not None
        assert line.startswith("What changes with ldam: recall of the rarest class 0.0 -> 0.0 %")

    def test_classes_of_one_size_have_no_rarest(self) -> None:
        data = {**summary()["data"], "class_counts": [2, 2, 2]}
        assert tables.gain_line(summary(data=data)) is None

    def test_without_one_it_says_why(self) -> None:
        assert tables.verdict_lines(summary(verdict=None, gain=None)) == [
            "No verdict: it needs finished runs of ce and of another method."
        ]

    def test_classes_that_no_test_example_shows_make_no_gain(self) -> None:
        assert tables.gain_line(summary(gain={**summary()["gain"], "few": [None, None]})) is None

    def test_whether_retraining_was_needed_is_said(self) -> None:
        lines = tables.verdict_lines(summary(retraining={"sentence": "Nothing is shown.", "winners": []}))
        assert lines[1] == "Nothing is shown."


class TestMarkdown:
    def test_is_a_table_followed_by_paragraphs(self) -> None:
        text = tables.markdown(summary())
        lines = text.splitlines()
        assert lines[0] == "| method | bal. acc. | vs ce | many | medium | few | accuracy | ECE | seconds |"
        assert lines[1] == "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
        assert lines[2].startswith("| ldam | 87.7 ± 1.2 | +10.0 [-2.0, +22.0] |")
        assert lines[4:7] == ["", "ldam leads ce.", ""]
        assert text.endswith("interval.\n")

    def test_neither_stars_nor_bars_are_markup(self) -> None:
        shared = row("x(a='|')", 0.8, [0.8] * 3, retrains=False)
        text = tables.markdown(summary(rows=[shared]))
        assert "| x(a='\\|') \\* |" in text
        assert "\n\\* shares the training" in text  # and no list


class Collected(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.tags[-1] == "td":
            self.cells.append(data)


def test_html_escapes_names() -> None:
    data = {**summary()["data"], "name": "<i>data</i>", "notes": ["class <img src=x onerror=alert(1)> & more"]}
    named = summary(rows=[row("<script>alert(1)</script>", 0.5, [0.5] * 3)], data=data)
    parsed = Collected()
    parsed.feed(tables.html(named))
    assert set(parsed.tags) == {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert parsed.cells[0] == "<script>alert(1)</script>"
    assert "class <img src=x onerror=alert(1)> & more" in parsed.text
    assert "<i>data</i>: 183 training examples" in parsed.text


def test_csv_is_not_rounded() -> None:
    header, ldam, ce = csv.reader(io.StringIO(comma_separated(summary())))
    cells = dict(zip(header, ldam, strict=True))
    assert float(cells["balanced_accuracy"]) == 0.87654321
    assert float(cells["ece_std"]) == 0.0123
    assert [float(cells[f"vs_ce_{end}"]) for end in ("mean", "low", "high")] == [0.1, -0.02, 0.22]
    assert (cells["method"], cells["paper"], cells["seconds"], cells["seeds"]) == ("ldam", "Somebody 2000", "2.5", "2")
    assert set(METRICS) <= set(header)
    assert dict(zip(header, ce, strict=True))["vs_ce_mean"] == ""


def test_csv_quotes_what_has_commas() -> None:
    named = summary(rows=[row("ldam(max_margin=0.3, scale=20.0)", 0.5, [0.5] * 3)])
    assert list(csv.reader(io.StringIO(comma_separated(named))))[1][0] == "ldam(max_margin=0.3, scale=20.0)"


def test_plain_columns_are_aligned() -> None:
    lines = tables.plain(summary()).splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[0].index("bal. acc.") + len("bal. acc.") == lines[1].index("± 1.2") + len("± 1.2")


def test_without_rows_every_form_still_speaks() -> None:
    empty = summary(rows=[], verdict=None, gain=None, failed=[{"method": "ce", "seed": 0, "error": "no"}])
    for form in (tables.plain, tables.markdown, tables.html):
        assert "FAILED: ce, seed 0: no" in form(empty)
    assert len(comma_separated(empty).splitlines()) == 1


def test_files_are_written_whole(tmp_path: Path) -> None:
    written = files.write(tmp_path, summary())
    assert {p.name for p in written} == {p.name for p in tmp_path.iterdir()}
    assert {"comparison.json", "comparison.csv", "comparison.md"} <= {p.name for p in written}
    assert json.loads((tmp_path / "comparison.json").read_text()) == summary()
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write(tmp_path, summary(seeds=[float("nan")]))
    assert json.loads((tmp_path / "comparison.json").read_text()) == summary()


class TestTwins:
    TWIN: ClassVar[dict[str, Any]] = {"method": "<trees>", "mean": 0.026, "low": -0.003, "high": 0.055}

    def paired(self) -> dict[str, Any]:
        rows = [
            row("cw", 0.8, [0.8] * 3, twin=self.TWIN),
            row("drw", 0.7, [0.7] * 3, twin={**self.TWIN, "method": "ce"}),
            row("ce", 0.6, [0.6] * 3, difference=None, twin=None),
        ]
        return summary(rows=rows, twins={"sentence": "None is shown to.", "winners": [], "losers": []})

    def test_other_than_the_reference_have_a_column(self) -> None:
        assert tables.header(self.paired())[2:5] == ["vs ce", "vs twin", "many"]
        assert [line[3] for line in tables.cells(self.paired())] == ["+2.6 [-0.3, +5.5] <trees>", "", ""]
        assert tables.verdict_lines(self.paired())[:2] == ["ldam leads ce.", "None is shown to."]
        assert any(
            line.startswith("vs twin: ") and "empty where it is ce" in line for line in tables.about(self.paired())
        )
        assert "&lt;trees&gt;</td>" in tables.html(self.paired())

    def test_are_all_in_the_csv(self) -> None:
        lines = list(csv.DictReader(io.StringIO(comma_separated(self.paired()))))
        assert [line["twin"] for line in lines] == ["<trees>", "ce", ""]
        assert [line["vs_twin_low"] for line in lines] == ["-0.003", "-0.003", ""]

    def test_leave_a_narrow_screen_last(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for width, first in ((60, ["vs ce"]), (80, ["vs ce", "vs twin"]), (118, ["vs ce", "vs twin", "many"])):
            console = Console(width=width, highlight=False)
            console.print(comparison_output._ranked_table(self.paired(), console))
            out = capsys.readouterr().out
            assert all(len(line.rstrip()) <= width for line in out.splitlines())
            assert all(name in out.splitlines()[0] for name in first)
            assert ("vs twin" in out.splitlines()[0]) == (width > 60)


class TestHiddenLabels:
    """Rows without labels, candidate sets, and ce on the true labels."""

    UNKNOWN = {"class_counts": [51.25, 30.5, 18.25], "counts_known": False}  # noqa: RUF012

    def test_expected_counts_are_no_counts(self) -> None:
        comparison = summary()
        comparison["data"] |= self.UNKNOWN
        first, second, *_ = tables.about(comparison)
        assert first == (
            "hand: 100 training examples, 3 classes of 51.2 to 18.2 expected by their candidate sets (ratio unknown), "
            "30 test examples; 2 seeds, 200 epochs, last epoch."
        )
        assert second.startswith("Groups: thirds, expected. ")
        assert "recall of the rarest class by expected count 25.0 -> 50.0 %" in str(tables.gain_line(comparison))
        text = recall_plot.text(comparison).splitlines()
        assert text[0].split()[:2] == ["class", "expected"]
        assert "51.2" in text[1]

    def test_rows_without_labels_and_equal_steps_are_said(self) -> None:
        comparison = summary(recipe={"epochs": 50, "steps": 9})
        comparison["data"] |= {"unlabeled": 400}
        first = tables.about(comparison)[0]
        assert "183 labelled and 400 unlabelled training examples, 3 classes of 100 to 33 (ratio 3.03)" in first
        assert "50 epochs of 9 steps" in first

    def test_the_oracle_is_explained(self) -> None:
        rows = [*summary()["rows"], row("oracle", 0.9, [0.9] * 3, role="context", difference=None)]
        lines = tables.about(summary(rows=rows, task="partial"))
        assert "oracle: ce on the true labels of all training examples, which no other row sees." in lines
        assert not any(line.startswith("oracle") for line in tables.about(summary()))


def test_epochs_of_several_stages_are_said() -> None:
    one, two = row("ce", 0.75, [0.8] * 3, epochs={"train": 100}), row("crt", 0.8, [0.8] * 3)
    two["epochs"] = {"train": 100, "classifier": 15}
    lines = tables.about(summary(rows=[two, one]))
    assert "Epochs of methods with several stages: crt 100 train + 15 classifier." in lines
    assert not [line for line in tables.about(summary(rows=[one])) if "several stages" in line]
