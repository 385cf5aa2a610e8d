"""Wrong labels in a comparison: shares in a table, its sentences and comparison.csv."""

from __future__ import annotations

import csv
import io
from typing import Any

from report_summary import row, summary

from longtail.report import tables
from longtail.report.comma_separated import comma_separated
from longtail.report.wrong_labels import about_wrong_labels, wrong_label_lines


def noisy_summary() -> dict[str, Any]:
    plain = summary()
    shares = {"fitted": 0.5, "fitted_many": 0.25, "fitted_medium": None, "fitted_few": 1.0, "recovered": 0.125}
    found = {"mean": shares, "std": dict.fromkeys(shares, 0.01)}
    noise = {
        "rows": 1000, "wrong": 312,
        "by_true_class": {"all": 0.312, "many": 0.3, "medium": 0.4, "few": 0.5},
        "by_given_label": {"all": 0.312, "many": 0.1, "medium": 0.2, "few": 0.75},
    }  # fmt: skip
    beside = row("oracle", 0.9, [0.9] * 3, difference=None, role="context", wrong_labels=found)
    rows = [{**one, "wrong_labels": found} for one in plain["rows"]]
    return {**plain, "task": "supervised", "rows": [*rows, beside], "data": {**plain["data"], "wrong_labels": noise}}


def test_the_table_and_its_sentences() -> None:
    lines = wrong_label_lines(noisy_summary())
    assert lines[1] == ["ldam", "50.0 ± 1.0", "25.0", "–", "100.0", "12.5"]
    assert lines[3][0] == "oracle §"
    said = about_wrong_labels(noisy_summary())
    assert said[0] == (
        "Wrong training labels: 312 of 1,000 (31.2 %); of the rows of a true class many 30.0 %, medium 40.0 %, "
        "few 50.0 %; of the labels as given many 10.0 %, medium 20.0 %, few 75.0 %."
    )
    for text in (tables.plain, tables.markdown, tables.html):
        assert "wrong labels fitted" in text(noisy_summary())
        assert "wrong labels" not in text(summary()).lower()


def test_comparison_csv_has_the_shares() -> None:
    first = next(csv.DictReader(io.StringIO(comma_separated(noisy_summary()))))
    assert first["wrong_fitted"] == "0.5"
    assert first["wrong_fitted_medium"] == ""
    assert first["wrong_recovered"] == "0.125"
    assert "wrong_fitted" not in comma_separated(summary())
