"""Rows as a saved model judges them, with its calibration and decision, and their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from longtail.metrics import Rows, evaluate
from longtail.metrics import metric as metric_of
from longtail.metrics.intervals import effective
from longtail.runs.run import Run
from longtail.runs.scored import of_run

if TYPE_CHECKING:
    from longtail.runs.predictor import Predictor


class Judged(NamedTuple):
    """Rows that a model has judged: arrays as in `scored.ScoredRows`."""

    probs: Any
    decided: Any
    targets: Any
    weight: Any = None


def judged(predictor: Predictor, inputs: Any, targets: Any, weight: Any) -> Judged:
    """Return prepared rows as a model judges them."""
    scores = predictor.scores(inputs)
    probs = predictor.probabilities(scores).cpu().numpy()
    return Judged(probs, predictor.decided(scores).argmax(1).cpu().numpy(), targets, weight)


def judged_test_rows(predictor: Predictor, run: Run) -> Judged:
    """Return the test rows of a run as its model, with calibration and decision, judges them."""
    test = of_run(run).test
    logs = torch.from_numpy(test.log_probs)
    if predictor.calibration is not None:
        logs = torch.as_tensor(predictor.calibration(logs))
    decided = test.decided
    if predictor.decision is not None:
        decided = torch.as_tensor(predictor.decision(logs)).argmax(1).numpy()
    return Judged(logs.exp().numpy(), decided, test.targets, test.weight)


def decided_scores(run: Run) -> dict[str, Any]:
    """Return the dict of `evaluate` on the test rows of a run, as its saved model judges and decides them."""
    rows, counts = judged_test_rows(run.predictor, run), run.config["data"]["class_counts"]
    return evaluate(
        rows.probs, rows.targets, class_counts=counts, probabilities=True, sample_weight=rows.weight,
        decided=rows.decided,
    )  # fmt: skip


def scored_rows(
    rows: Judged, *, counts: Any, positive: int | None, cost: Any, metric: str
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Return the dict of `evaluate`, and every number with its interval, that of the metric first."""
    scores = evaluate(
        rows.probs, rows.targets, class_counts=counts, probabilities=True, sample_weight=rows.weight,
        decided=rows.decided, positive=positive, cost=cost,
    )  # fmt: skip
    values = {
        name: {"mean": scores[name], "low": ends[0], "high": ends[1]}
        for name, ends in scores["intervals"].items()
        if ends is not None and scores[name] is not None
    }
    if metric not in scores and (own := _at_point(rows, positive, metric)) is not None:
        values[metric] = own
    first = {metric: values[metric]} if metric in values else {}
    return scores, {**first, **values}


def _at_point(rows: Judged, positive: int | None, name: str) -> dict[str, float] | None:
    """Return a metric at an operating point; its variance is the infinitesimal jackknife's."""
    one = metric_of(name)
    whole = Rows(rows.probs, rows.decided, rows.targets, rows.weight, positive=positive)
    value = one.value(whole)
    if np.isnan(value):
        return None
    count = float(whole.weights[rows.targets == positive].sum())
    influence = one.influence(whole)
    low, high = effective(value, float(influence @ influence), max(value, 1.0 - value) / max(count, 1.0))
    return {"mean": value, "low": float(low), "high": float(high)}
