"""Rows as a saved model judges them: with its calibration, by its decision; new ones, or the test rows of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from longtail.metrics import evaluate
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
    """Return new rows, prepared, as a model judges them."""
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
