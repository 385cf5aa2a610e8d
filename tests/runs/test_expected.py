"""What is quoted of a comparison, and compared with it, means the same: class, costs, rule, prior, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longtail.cli.train_all import to_expect
from longtail.runs.expected import comparable, differences

ONE = {"mean": 0.5, "low": 0.25, "high": 0.75}
NAMES = ("accuracy", "log_loss", "positive_f1", "precision@recall=0.9", "cost")
KNOWN: dict[str, Any] = {
    "metrics": dict.fromkeys(NAMES, ONE), "positive": "b", "cost": [[0, 1], [5, 0]], "metric": "log_loss", "seeds": 1,
    "method": "ce", "comparison": "runs/c", "rows": 80,
}  # fmt: skip


@pytest.mark.parametrize(
    ("positive", "cost", "left"),
    [
        ("b", np.array([[0.0, 1.0], [5.0, 0.0]]), NAMES),
        ("a", None, NAMES[:2]),
        (None, np.array([[0.0, 1.0], [4.0, 0.0]]), NAMES[:2]),
        ("b", None, NAMES[:4]),
    ],
)
def test_metrics_of_another_class_or_other_costs_are_not_compared(
    positive: str | None, cost: Any, left: tuple[str, ...]
) -> None:
    assert tuple(comparable(KNOWN, positive, cost)) == left


def test_another_rule_prior_or_calibration_is_noted() -> None:
    assert differences(KNOWN, None, False) == []
    assert differences({**KNOWN, "decided_for": "the same"}, "the same", False) == []
    assert differences(KNOWN, "'b' where p >= 0.2", False) == [
        "the comparison decided by the method's own rule, this model decides by 'b' where p >= 0.2"
    ]
    prior, calibrated = differences({**KNOWN, "target_prior": "uniform"}, None, True)
    assert prior == "the comparison's probabilities are under the prior uniform"
    assert "are not calibrated" in calibrated


def test_what_to_expect_has_the_digits_and_the_class_of_its_metric() -> None:
    said = "(95 % interval 0.250 to 0.750), as ce had in runs/c with 1 seed on 80 rows that it was not trained on"
    assert to_expect(KNOWN) == f"what to expect: log loss 0.500 {said}"
    of_one = to_expect({**KNOWN, "metric": "positive_f1", "decided_for": "f1"})
    assert of_one.startswith("what to expect: F1 of the class ('b') 50.0 % (95 % interval 25.0 to 75.0), as ce")
    assert of_one.endswith(" not trained on, decided for: f1")
