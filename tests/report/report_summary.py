"""A comparison written by hand: what the report makes its tables and pictures of."""

from __future__ import annotations

from typing import Any

METRICS = ("balanced_accuracy", "accuracy", "macro_f1", "g_mean", "many", "medium", "few", "worst_class", "ece",
           "classwise_ece")  # fmt: skip


def row(method: str, value: float, recall: list[float | None], **changes: Any) -> dict[str, Any]:
    content = {
        "method": method,
        "key": method.split("(")[0],
        "paper": "Somebody 2000",
        "retrains": True,
        "reuses": None,
        "mean": dict.fromkeys(METRICS, value),
        "std": dict.fromkeys(METRICS, 0.0123),
        "recall": recall,
        "seconds": 2.5,
        "runs": [{"seed": 0}, {"seed": 1}],
        "difference": {"mean": 0.1, "low": -0.02, "high": 0.22},
    }
    return {**content, **changes}


def summary(classes: int = 3, **changes: Any) -> dict[str, Any]:
    """Classes a, b, c, ... of 100, 50, 33, ... examples; ldam ahead of ce."""
    counts = [100 // (j + 1) for j in range(classes)]
    recall = [1.0 - 0.05 * j for j in range(classes)]
    content = {
        "schema_version": 1,
        "data": {
            "name": "hand",
            "facts": {},
            "notes": [],
            "classes": [chr(ord("a") + j) for j in range(classes)],
            "class_counts": counts,
            "test_counts": [10] * classes,
            "groups": {"rule": "thirds", "many": [0], "medium": [1], "few": [2]},
        },
        "recipe": {"epochs": 200},
        "metric": "balanced_accuracy",
        "reference": "ce",
        "seeds": [0, 1],
        "select": "last epoch",
        "failed": [],
        "missing": [],
        "verdict": {
            "sentence": "ldam leads ce.", "winners": ["ldam"], "losers": [], "undecided": [],
            "statistics": {"df": 1, "notes": []},
        },
        "retraining": None,
        "rows": [row("ldam", 0.87654321, recall), row("ce", 0.75, recall[::-1], difference=None)],
        "gain": {
            "method": "ldam", "shown": True, "few": [0.25, 0.5], "many": [0.9, 0.85], "few_classes": 1,
            "many_classes": 2, "seconds": [2.0, 3.0],
        },
    }  # fmt: skip
    return {**content, **changes}
