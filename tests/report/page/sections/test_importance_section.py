"""The page's section on columns: rarest classes first, what may be chance in brackets, none where none was measured."""

from __future__ import annotations

import html
import re
from typing import Any

from tests.report.report_summary import summary

from longtail.report import column_importance
from longtail.report.page.page import Page
from longtail.report.page.sections import importance


def column(name: str, metric: float | None, error: float | None, recall: list[float | None], sure: bool = True) -> Any:
    errors = [None if value is None else abs(value) / (3 if sure else 1) for value in recall]
    return {"column": name, "metric": metric, "metric_se": error, "recall": recall, "recall_se": errors}


def page(columns: list[Any], classes: int = 3, **changes: Any) -> Page:
    content = summary(classes) | changes
    for row in content["rows"]:
        row["importance"] = {"repeats": 5, "seeds": 2, "rows": 60, "columns": columns}
    return Page(content)


def text(made: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", str(made))).split())


COLUMNS = [
    column("age", 0.2, 0.03, [0.1, 0.5, None]),
    column("kind", -0.004, 0.02, [-0.004, 0.03, None], sure=False),
    column("noise", 0.0, 0.0, [0.0, 0.0, None]),
]


def test_classes_stand_from_the_rarest_and_chance_in_brackets() -> None:
    made = importance.section(page(COLUMNS))
    assert made is not None
    said = text(made.html)
    assert "(5 times, mean over 2 seeds), in points; the model is not trained again" in said
    assert "columns that say the same share their importance" in said
    assert "column balanced accuracy b a age 20.0 ± 3.0 50.0 10.0 kind -0.4 ± 2.0 (3.0) (-0.4) noise 0 0 0" in said
    assert "Without any effect on these test rows: 'noise'." in said
    assert said.index("ce: the columns") < said.index("ldam: the columns")  # the reference first
    assert "rgb(185 47 71 / 0.45)" in made.html
    assert "rgb(33 98 154" in made.html


def test_of_many_columns_and_classes_the_first_are_shown_and_counted() -> None:
    many = [column(f"c{k}", 0.5 - k / 100, 0.01, [0.1] * 12) for k in range(20)]
    made = importance.section(page(many, 12))
    assert made is not None
    said = text(made.html)
    assert "the 15 columns of 20 that it depends on most; recall of the 8 rarest of 12 classes" in said
    assert "c14" in said
    assert "c15" not in said


def test_a_metric_that_is_undefined_or_no_fraction() -> None:
    assert column_importance.of_metric(column("a", None, None, [None]), points=True) == "–"
    assert column_importance.of_metric(column("a", 0.1234, 0.0123, [0.0]), points=False) == "0.123 ± 0.012"
    made = importance.section(page(COLUMNS, metric="log_loss"))
    assert made is not None
    assert "points of recall" in text(made.html)


def test_nothing_where_nothing_was_measured() -> None:
    assert importance.section(Page(summary())) is None
    assert column_importance.lines(summary()) == []


def test_the_terminal_names_the_first_columns() -> None:
    first, second = column_importance.lines(page(COLUMNS).summary)
    assert first.endswith(
        "loses of balanced accuracy, in points, by moving a column's cells: age 20.0 ± 3.0, kind -0.4 ± 2.0"
    )
    assert {first.split()[1], second.split()[1]} == {"ce", "ldam"}
