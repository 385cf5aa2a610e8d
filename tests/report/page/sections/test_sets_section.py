"""The page's section on sets: coverage beside the promise, and an honest sentence for classes with too few rows."""

from __future__ import annotations

import re
from typing import Any

from tests.report.report_summary import row, summary

from longtail.report.page import render
from longtail.report.page.page import Page
from longtail.report.page.sections import sets


def one(n: int, coverage: float | None, **changes: Any) -> dict[str, Any]:
    kept = {"low": 0.7, "high": 1.0} if n >= 9 else {"low": None, "high": None}
    return {"n": n, "promised": n >= 9, "tested": 10, "coverage": coverage, "size": 1.5, **kept, **changes}


def entry(*classes: dict[str, Any], kind: str = "split") -> dict[str, Any]:
    return {
        "level": 0.9, "kind": kind, "needs": 9, "classes": list(classes), "coverage": 0.9, "mean_size": 1.25,
        "empty": 0.02,
    }  # fmt: skip


def page(ldam: dict[str, Any] | None, ce: dict[str, Any] | None, classes: int = 3) -> Page:
    content = summary(classes)
    given = {"ldam": ldam, "ce": ce}
    for line in content["rows"]:
        line |= {} if given[line["method"]] is None else {"sets": given[line["method"]]}
    return Page(content)


LDAM = entry(one(50, 0.95), one(20, 0.6), one(4, 1.0))
CE = entry(one(50, 0.88), one(20, 0.9), one(4, 1.0))


def text(made: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", str(made)).split())


def test_a_row_whose_validation_rows_chose_its_training_is_named() -> None:
    one_of_two = page(LDAM, None)
    next(row for row in one_of_two.rows if row["method"] == "ce")["search"] = {"trainings": [3]}
    made = sets.section(one_of_two)
    assert made is not None
    assert "Not of ce: validation rows that chose a training can promise nothing of it." in text(made.html)


def test_coverage_is_set_beside_its_promise() -> None:
    made = sets.section(page(LDAM, CE))
    assert made is not None
    said = text(made.html)
    assert "with at least 9 calibration rows, 90 % of the rows are to have it in their set" in said
    assert "Too few rows to promise 90 % for class c (needs 9, has 4); it is in every set." in said
    assert "ldam 77.5 60.0 1 of 2 1.25 2.0" in said
    assert "ce 89.0 88.0 0 of 2 1.25 2.0" in said
    # of the reference, then of the best: fewest rows first
    assert "c 4 10 no promise, in every set 100.0 1.50 100.0 1.50" in said
    assert "b 20 10 70 to 100 90.0 1.50 60.0 (below) 1.50" in said
    assert str(made.html).count("<circle") + str(made.html).count("<rect") >= 1
    assert "ldam: 1 of 2 promised classes are not below their interval" in said


def test_of_folds_nothing_is_proven() -> None:
    made = sets.section(page(entry(one(50, 0.95), one(20, 0.9), one(4, 1.0), kind="cross"), None))
    assert made is not None
    assert "nothing is proven for finite samples" in text(made.html)
    assert "validation rows" not in text(made.html)


def test_without_any_promise_there_is_no_picture() -> None:
    made = sets.section(page(entry(one(4, 1.0), one(2, 1.0), one(0, None, size=None)), None))
    assert made is not None
    said = text(made.html)
    assert "Too few rows to promise 90 % for 3 classes (each needs 9): a (has 4), b (has 2), c (has 0)" in said
    assert "ldam – – – 1.25 2.0" in said
    assert "<svg" not in str(made.html)


def test_many_classes_are_those_with_the_fewest_rows() -> None:
    made = sets.section(page(entry(*[one(100 - j, 0.9) for j in range(90)]), None, classes=90))
    assert made is not None
    assert "the 60 classes with the fewest calibration rows" in text(made.html)
    assert str(made.html).count('<th scope="row">') == 1 + 60


def test_of_very_many_classes_a_mark_is_a_mean() -> None:
    made = sets.section(page(entry(*[one(1000 - j, 0.9) for j in range(600)]), None, classes=600))
    assert made is not None
    assert str(made.html).count("<circle") == 75 + 1  # and the legend's
    assert "a mark is the mean of about 8 classes" in text(made.html)
    assert len(made.html) < 60_000


def test_no_sets_no_section_and_names_are_escaped() -> None:
    assert sets.section(page(None, None)) is None
    named = page(entry(one(4, 1.0), one(20, 0.9), one(30, 0.9)), CE, classes=3)
    named.summary["data"]["classes"] = ["<b>x</b>", "=1+1", "\u202eabc"]
    html = str(sets.section(named).html)  # type: ignore[union-attr]
    assert "<b>" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "\u202e" not in html


def test_the_page_has_the_section() -> None:
    assert 'id="sets"' in render(page(LDAM, CE).summary)
    assert 'id="sets"' not in render(summary(rows=[row("ce", 0.5, [0.5, 0.5, 0.5])]))
