"""The content of tune.json: every candidate with its metric on validation rows, the chosen one, and the intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from longtail.catalogue.search import Candidate
from longtail.comparison.evidence.differences import compare_to_reference
from longtail.comparison.evidence.metric_intervals import metric_intervals
from longtail.comparison.tune.trials import Trials
from longtail.methods.tuning.search import best_of
from longtail.methods.tuning.space import Interval, Space, Values


def summarise(plan: Trials, searched: Space, search: str, errors: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of tune.json, the same however often the search was interrupted.

    Args:
        plan: of all candidates. searched, search: what was searched, and how.
        errors: the folder of every run that failed -> why.

    Raises:
        ValueError: no candidate finished.
    """
    metric, measure = [plan.metric_of(one) for one in plan.candidates], plan.question.measure
    if all(map(math.isnan, metric)):
        why = next(iter(errors.values()), "the budget ended first")
        raise ValueError(f"no candidate finished ({why}); mend the cause or raise the budget and run the same again")
    differences, intervals = _evidence(plan, plan.candidates[best_of([measure.sign * m for m in metric])])
    best_first = sorted(
        zip(plan.candidates, metric, strict=True),
        key=lambda pair: math.inf if math.isnan(pair[1]) else -measure.sign * pair[1],
    )
    rows = [
        {"method": one.spec, "recipe_changes": dict(one.changes), "setting": dict(one.setting),
         "metric": None if math.isnan(value) else value, "interval": intervals.get(one.text),
         "difference": differences.get(one.text)}
        for one, value in best_first
    ]  # fmt: skip
    missing = [str(t.folder) for t in plan.tasks if not t.finished and str(t.folder) not in errors]
    folds, data = plan.folds, plan.data
    counts = (plan.splits if folds is None else folds).test_counts.tolist()
    return {
        "schema_version": 1, "data": data.name, "hash": data.hash, "search": search, "metric": plan.metric,
        "question": plan.question.to_json(False), "seeds": len(plan.seeds),
        "inner_folds": None if folds is None else folds.k,
        "validation_rows": len(plan.splits.test) if folds is None else len(folds.tested),
        "unmeasured": [name for name, count in zip(data.classes, counts, strict=True) if not count],
        "recipe": plan.recipe.to_json(), "knobs": {knob: _described(v) for knob, v in searched.varied.items()},
        "chosen": rows[0], "rows": rows, "failed": list(errors.values()), "missing": len(missing),
    }  # fmt: skip


def _described(values: Values) -> dict[str, Any]:
    """Return what was declared for a knob."""
    if isinstance(values, Interval):
        return {"low": values.low, "high": values.high, "log": values.log}
    return {"values": list(values)}


def _evidence(plan: Trials, chosen: Candidate) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return differences to the chosen candidate and metrics, on validation rows, with simultaneous intervals."""
    predictions, targets, weight = plan.decisions()
    classes, measure = len(plan.data.classes), plan.question.measure
    ends = metric_intervals(predictions, targets, measure, num_classes=classes, sample_weight=weight)
    intervals = {name: {"low": low, "high": high} for name, (low, high) in ends.items()}
    if len(predictions) < 2:
        return {}, intervals
    compared = compare_to_reference(
        predictions, targets, chosen.text, measure, num_classes=classes, sample_weight=weight
    )
    return {d.method: {"mean": d.difference, "low": d.low, "high": d.high} for d in compared}, intervals
