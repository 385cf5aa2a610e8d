"""expected.json: what a comparison measured of a model's method, beside a model that has no scores of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from longtail.facts import json_documents
from longtail.facts.json_documents import Rule, is_list_of
from longtail.metrics.registry import METRICS

FILE = "expected.json"
SCHEMA = 1
WAY_OUT = "delete that file and run the same command again, which writes it anew"


def _is_interval(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(end), int | float) for end in ("mean", "low", "high"))


_RULES: dict[str, Rule] = {
    "comparison": str, "method": str, "metric": str, "classes": is_list_of(str), "rows": int,
    "metrics": lambda value: isinstance(value, dict) and all(map(_is_interval, value.values())),
    "per_class": dict, "select": str,
}  # fmt: skip


def write(folder: Path, expected: dict[str, Any]) -> None:
    """Write an estimate into a model's folder, in place of one before; raises OSError."""
    json_documents.write_sealed(folder / FILE, {"schema_version": SCHEMA, **expected})


def read(folder: Path) -> dict[str, Any] | None:
    """Return the estimate in a model's folder, None where there is none.

    Raises:
        DamagedError: it was changed or is damaged.
    """
    if not (folder / FILE).exists():
        return None
    return json_documents.read_sealed(folder / FILE, SCHEMA, _RULES, WAY_OUT)


def comparable(known: Mapping[str, Any], positive: str | None, cost: Any) -> dict[str, Any]:
    """Return the metrics of an estimate that mean the same now: those of one class of the same, cost by the same costs.

    Args:
        known: the estimate.
        positive: the class that is meant now.
        cost: (C, C) or None.
    """
    before = known.get("cost")
    alike = {
        "positive": positive is not None and positive == known.get("positive"),
        "cost": cost is not None and before is not None and np.array_equal(cost, before),
    }
    needs = {name: METRICS[name].needs if name in METRICS else "positive" * ("@" in name) for name in known["metrics"]}
    return {name: one for name, one in known["metrics"].items() if alike.get(needs[name], True)}


def differences(known: Mapping[str, Any], rule: str | None, calibrated: bool) -> list[str]:
    """Return in what the estimate's decisions and probabilities differ from those of the model, a note for each.

    Args:
        known: the estimate.
        rule: of the model's decision, where it has one.
        calibrated: whether its probabilities are.
    """
    notes, theirs = [], known.get("decided_for")
    if theirs != rule:
        own = "the method's own rule"
        notes.append(f"the comparison decided by {theirs or own}, this model decides by {rule or own}")
    if known.get("target_prior") is not None:
        notes.append(f"the comparison's probabilities are under the prior {known['target_prior']}")
    if calibrated:
        notes.append("the comparison's probabilities are not calibrated, this model's are")
    return notes
