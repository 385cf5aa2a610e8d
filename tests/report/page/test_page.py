"""The page as text: its structure, what it says, and that no name gets out of its place."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from itertools import pairwise
from typing import Any

import pytest
from benchmarks.report_page import BYTES, comparison
from page_summaries import EVIL, FINDING, FORMULA, Parsed, full, hostile
from tests.report.report_summary import METRICS, row, summary

from longtail.facts.messages import HIDDEN, visible
from longtail.report import page, tables
from longtail.report.comma_separated import comma_separated


@pytest.fixture(scope="module")
def rendered() -> str:
    return page.render(full())


@pytest.fixture(scope="module")
def parsed(rendered: str) -> Parsed:
    return Parsed(rendered)


class TestStructure:
    def test_headings_follow_each_other_and_every_section_has_one(self, parsed: Parsed) -> None:
        levels = [int(tag[1]) for tag in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b <= a + 1 for a, b in pairwise(levels))
        sections = [value for tag, name, value in parsed.attributes if tag == "section" and name == "id"]
        assert sections == ["verdict", "next", "unfinished", "differences", "methods", "trade-off", "classes", "curves",
                            "confusion", "importance", "cost", "findings", "measured", "commands",
                            "glossary"]  # fmt: skip
        assert [f"#{name}" for name in sections] == parsed.values("href")[1:]

    def test_ids_are_unique_and_every_reference_leads_to_one(self, parsed: Parsed) -> None:
        ids = parsed.values("id")
        assert len(ids) == len(set(ids))
        wanted = [one for value in parsed.values("aria-labelledby") for one in value.split()]
        assert {*wanted, *(value[1:] for value in parsed.values("href"))} <= set(ids)

    def test_nothing_is_fetched_and_nothing_runs(self, rendered: str, parsed: Parsed) -> None:
        assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(parsed.tags)
        assert not [name for _, name, _ in parsed.attributes if name.startswith("on") or name in ("src", "srcset")]
        assert all(value.startswith("#") for value in parsed.values("href"))
        assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", rendered)
        assert "default-src 'none'" in rendered

    def test_tables_have_captions_of_their_own_and_boxes_that_scroll(self, rendered: str, parsed: Parsed) -> None:
        captions = re.findall(r"<caption[^>]*>(.*?)</caption>", rendered)
        assert len(captions) == parsed.tags.count("table") == len(set(captions))
        assert parsed.values("class").count("box") == parsed.tags.count("table")
        boxes = [value for value in parsed.values("class") if value.split()[0] == "box"]
        assert len(boxes) == parsed.values("tabindex").count("0")

    def test_pictures_have_a_title_and_say_what_they_show(self, rendered: str, parsed: Parsed) -> None:
        assert parsed.tags.count("svg") == rendered.count('role="img"') == parsed.tags.count("desc") == 5
        assert "ldam +10.0 [+5.0, +15.0]; focal +2.0 [-2.0, +6.0]; mixup -5.0 [-9.0, -1.0]." in parsed.text
        assert "ldam: many 90.0, few 90.0" in parsed.text


class TestContent:
    def test_verdict_ranking_and_notes_are_those_of_the_command_line(self, rendered: str, parsed: Parsed) -> None:
        comparison = full()
        for line in [*tables.verdict_lines(comparison), *tables.about(comparison)]:
            assert " ".join(line.removeprefix("- ").replace(" -> ", " \u2192 ").split()) in parsed.text
        body = rendered.split('<section id="methods"')[1].split("</section>")[0]
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", body)
        assert cells == [cell for line in [tables.header(comparison), *tables.cells(comparison)] for cell in line]
        assert re.findall(r'<tr class="(\w+)">', body) == ["winner", "reference", "context"]

    def test_without_a_verdict_it_says_why_and_draws_no_differences(self) -> None:
        plain = full() | {"verdict": None, "gain": None}
        found = Parsed(page.render(plain))
        assert "No verdict: it needs finished runs of ce and of another method." in found.text
        assert "differences" not in found.values("id")
        assert "Simultaneous 95 % interval" not in found.text

    def test_where_no_run_finished_it_says_what_failed(self) -> None:
        nothing = full() | {"rows": [], "verdict": None, "gain": None}
        found = Parsed(page.render(nothing))
        assert "FAILED: bad, seed 1: ValueError: b" in found.text
        assert found.tags.count("svg") == found.tags.count("table") == 0

    def test_the_reference_alone_is_no_question(self) -> None:
        alone = full() | {"rows": [row("ce", 0.7, [0.5, 0.5, 0.5], difference=None)], "verdict": None, "gain": None}
        assert "<h1>ce on hand</h1>" in page.render(alone)
        assert "<h1>Which method helps on hand?</h1>" in page.render(full())

    def test_encoders_and_wrong_labels_have_their_tables(self) -> None:
        probe = {
            "mean": dict.fromkeys((*METRICS, "std_population", "std_sample"), 0.5),
            "std": dict.fromkeys(METRICS, 0.1),
        }
        wrong = {name: dict.fromkeys(("fitted", "fitted_many", "fitted_medium", "fitted_few", "recovered"), 0.25)
                 for name in ("mean", "std")}  # fmt: skip
        encoder = row("simclr", 0.5, [0.5] * 3, probes={"linear": probe}, wrong_labels=wrong, difference=None)
        comparison = full() | {"rows": [encoder], "reference": "simclr", "verdict": None, "gain": None,
                               "task": "self-supervised", "probe": "linear",
                               "probes": {"linear": "logistic regression"}}  # fmt: skip
        found = Parsed(page.render(comparison))
        for text in ("Probes of every encoder", "Wrong training labels that each method fitted", "logistic regression"):
            assert found.text.count(text) >= 1
        assert found.text.count("Encoders are ranked by the probe linear") == 1

    def test_terms_that_are_not_used_are_not_explained(self) -> None:
        assert "A row that is shown beside the methods" not in page.render(summary())
        assert "A row that is shown beside the methods" in page.render(full())

    def test_an_older_comparison_without_the_new_entries_is_a_page(self) -> None:
        found = Parsed(page.render(summary()))
        assert not {"findings", "commands"} & set(found.values("id"))


class TestFindings:
    def test_are_numbered_and_say_how_why_and_what_to_do(self) -> None:
        text = Parsed(page.render(full())).text
        for part in ("LT003 · Duplicates of c", "2 rows are c", "by content", "the test part is not new"):
            assert part in text

    def test_ignored_ones_are_left_out_and_said(self) -> None:
        comparison = full() | {"findings": [FINDING, FINDING | {"code": "LT004", "title": "Too few"}]}
        text = Parsed(page.render(comparison, ignore=["LT003"])).text
        assert "Duplicates" not in text
        assert "LT004 · Too few" in text
        assert "Left out by --ignore: LT003." in text

    def test_nothing_found_is_said(self) -> None:
        assert "No finding." in page.render(full() | {"findings": []})


class TestHostileNames:
    def test_the_page_has_the_tags_and_attributes_of_a_harmless_one(self, parsed: Parsed) -> None:
        evil = Parsed(page.render(hostile()))
        assert evil.tags == parsed.tags
        told = {"aria-label", "content", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "points", "viewbox"}
        assert [a for a in evil.attributes if a[1] not in told] == [a for a in parsed.attributes if a[1] not in told]

    def test_what_cannot_be_seen_is_escaped(self) -> None:
        text = page.render(hostile())
        assert not {unicodedata.name(c, repr(c)) for c in text if c != "\n" and unicodedata.category(c) in HIDDEN}
        assert "\\u202egnp" in text
        text.encode()  # a lone surrogate has no bytes

    def test_no_cell_of_the_csv_is_a_formula(self) -> None:
        comparison = hostile()
        formulas = (FORMULA, "+1", "-1", "+1+cmd", "-2*A1", "@SUM(A1)", "\t=1", " =1")
        comparison["rows"] = [row(name, 0.5, [0.5] * 3, paper=name, difference=None) for name in formulas]
        lines = list(csv.reader(io.StringIO(comma_separated(comparison))))
        for line, name in zip(lines[1:], formulas, strict=True):
            text = name in ("\t=1", "+1", "-1")  # escaped, or a number
            assert line[0] == line[1] == ("" if text else "'") + visible(name)
        negative = row("ce", -0.5, [0.5] * 3)
        assert ",-0.5," in comma_separated(comparison | {"rows": [negative]}), "numbers stay numbers"
        assert EVIL not in comma_separated(hostile())

    def test_a_long_name_is_cut(self) -> None:
        long = page.render(full("x" * 9000, ("y" * 9000, "b", "c")))
        assert [len(name) for name in re.findall(r"<h1>Which method helps on (x+.)\?</h1>", long)] == [80]
        assert {len(name) for name in re.findall(r'<th scope="row">(y+.)</th>', long)} == {80}


def test_without_jinja2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *rest: Any) -> None:
        return None

    monkeypatch.setattr(page, "find_spec", absent)
    with pytest.raises(ModuleNotFoundError, match=r"a report needs jinja2; install longtail\[report\]"):
        page.render(full())


@pytest.mark.parametrize("classes", [10, 100])
def test_twenty_methods_stay_below_a_megabyte(classes: int) -> None:
    """The seconds of the command are measured by the benchmark, whose comparison this is."""
    assert len(page.render(comparison(20, 5, classes)).encode()) < BYTES
