"""Findings in the data of a comparison: inspected when asked, kept when the same folder is summarised again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import longtail as lt
from longtail.comparison.findings import known_findings


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[40:50] = x[30:40]
    return x, np.arange(60) % 2


def test_are_those_of_inspect_and_stay_when_not_asked_again(tmp_path: Path) -> None:
    x, y = data()
    asked = {"methods": "ce", "seeds": 1, "epochs": 1, "out": tmp_path / "runs", "jobs": 1}
    first = lt.compare(x, y, inspect=True, **asked)
    copies = next(one for one in first.summary["findings"] if one["code"] == "LT002")
    assert "10 rows are copies" in copies["found"][0]
    assert lt.compare(x, y, **asked).summary["findings"] == first.summary["findings"]
    assert "LT002" in first.to_html()
    assert "LT002 ·" not in first.to_html(ignore=["LT002"])


def test_are_none_where_nothing_was_inspected(tmp_path: Path) -> None:
    assert known_findings(tmp_path, "hash") is None


@pytest.mark.parametrize("stored", [{"data": {"hash": "other"}, "findings": []}, {"data": {"hash": "hash"}}])
def test_of_other_data_or_of_an_older_version_are_not_taken(tmp_path: Path, stored: dict[str, object]) -> None:
    (tmp_path / "comparison.json").write_text(json.dumps(stored))
    assert known_findings(tmp_path, "hash") is None
