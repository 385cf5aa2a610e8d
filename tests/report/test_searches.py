"""What a table says of searches: which rows are tuned, at what cost, and what they chose."""

from __future__ import annotations

from typing import Any

from longtail.comparison.tuned_rows import verdict_on_tuned
from longtail.report.searches import about_searches


def row(method: str, trainings: int = 0) -> dict[str, Any]:
    search = {"metric": "balanced_accuracy", "trainings": [trainings], "seconds": [2.0], "chosen": ["ce"]}
    return {"method": method, "key": method.partition("(")[0], **({"search": search} if trainings else {})}


def test_rows_that_are_not_tuned_are_named_whatever_the_reason() -> None:
    """They may choose on validation rows themselves, or be of a folder that was begun without --tune."""
    rows = [row("tuned(trials=3)", 3), row("ldam"), row("ce-threshold")]
    lines = about_searches({"rows": rows, "reference": "tuned(trials=3)"})
    assert lines == [
        "Tuned: every method but ldam, ce-threshold, by at most 3 trainings a run, on the validation rows alone.",
        "tuned(trials=3): the best of 3 trainings by balanced accuracy on validation rows, 2.0 s; chosen: ce.",
    ]
    assert about_searches({"rows": [row("ce")], "reference": "ce"}) == []


def test_tuned_plain_training_as_the_reference_has_no_verdict_of_its_own() -> None:
    rows = [row("ce-tuned", 8), row("ldam")]
    assert verdict_on_tuned(rows, {"ce-tuned": {0: [0]}, "ldam": {0: [0]}}, [0], ("", "ce-tuned")) is None
