"""The ledger: published numbers are sane, name methods that exist, and hold the anchors of the field."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from tests.cases import cases

from longtail.facts import ledger
from longtail.methods import catalogue
from longtail.methods import method as resolved

ROWS = ledger.published()
LATER: set[str] = set()
"""Published methods that the catalogue does not have yet."""


def test_every_row_is_sane() -> None:
    assert len(ROWS) > 100
    for row in ROWS:
        assert 0 < row.error < 100, row
        assert row.std is None or 0 < row.std < 10, row
        assert re.fullmatch(r"cifar(10|100)-(lt|step)-(1|10|20|50|100|200)", row.benchmark), row
        assert row.select in ("last", "best-test", "not stated"), row
        assert row.source, row


def test_every_method_is_in_the_catalogue_or_to_come() -> None:
    assert {row.method.partition("(")[0] for row in ROWS} - LATER <= set(catalogue())
    assert not LATER & set(catalogue()), "it has come: take it off the list"
    for spec in {row.method for row in ROWS if "(" in row.method}:
        assert resolved(spec).spec == spec, "the canonical text, which is what a measured row is looked up by"


def test_no_source_says_two_numbers_for_one_thing() -> None:
    counted = Counter((row.benchmark, row.method, row.source) for row in ROWS)
    assert not [key for key, count in counted.items() if count > 1]


ANCHORS = {
    ("cifar10-lt-100", "ce"): (28.0, 29.65),
    ("cifar10-lt-100", "ldam"): (26.3, 26.7),
    ("cifar10-lt-100", "ldam-drw"): (22.0, 23.0),
    ("cifar10-lt-100", "ce-drw"): (25.1, 25.4),
    ("cifar10-lt-100", "logit-adjusted"): (22.1, 22.5),
    ("cifar10-lt-100", "balanced-softmax"): (22.1, 22.5),
    ("cifar10-lt-100", "logit-adjusted-posthoc"): (22.6, 22.7),
    ("cifar100-lt-100", "ce"): (60.1, 62.3),
    ("cifar100-lt-100", "ldam-drw"): (57.2, 58.0),
    ("cifar100-lt-100", "ce-drw"): (59.3, 60.8),
    ("cifar100-lt-100", "logit-adjusted"): (55.9, 57.1),
    ("cifar100-lt-100", "balanced-softmax"): (55.9, 57.1),
}
"""Where the independent sources of a number agree; they are the parity targets of a reproduction."""


@cases(("benchmark", "method"), ANCHORS)
def test_the_anchors_stand(benchmark: str, method: str) -> None:
    low, high = ANCHORS[benchmark, method]
    errors = [row.error for row in ROWS if (row.benchmark, row.method) == (benchmark, method)]
    # Menon et al.'s own plain baseline lies below everyone else's, as the ledger says
    outside = [error for error in errors if not low <= error <= high and (method, error) != ("ce", 27.16)]
    assert errors
    assert not outside


def test_a_rarer_tail_is_harder() -> None:
    for data in ("cifar10", "cifar100"):
        for method in ("ce", "sigmoid-ce"):
            numbers = {r.benchmark: r.error for r in ROWS if (r.method, r.source) == (method, "Cui et al. 2019")}
            errors = [numbers[f"{data}-lt-{ratio}"] for ratio in (1, 10, 20, 50, 100, 200)]
            assert errors == sorted(errors)


def test_measured_rows_are_read_from_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "measured").mkdir()
    for name, method in (("b", "ldam"), ("a", "ce")):
        row = {"benchmark": "cifar10-lt-10", "method": method}
        (tmp_path / "measured" / f"{name}.json").write_text(json.dumps({"rows": [row]}))
    monkeypatch.setattr(ledger, "files", lambda package: tmp_path)
    ledger.measured.cache_clear()
    try:
        assert [row["method"] for row in ledger.measured()] == ["ce", "ldam"]
        assert [row["method"] for row in ledger.known("ldam")["measured"]] == ["ldam"]
    finally:
        ledger.measured.cache_clear()


def test_the_measured_rows_of_the_package_are_complete() -> None:
    for row in ledger.measured():
        assert row["method"].split("(")[0] in catalogue()
        assert 0 < row["last"]["mean"] < 100
        assert row["machine"]
        assert {"epochs", "seeds", "recipe", "precision", "best_test", "evaluations", "seconds"} <= set(row)
