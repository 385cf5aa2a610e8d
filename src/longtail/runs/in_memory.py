"""The model of a training that writes no folder: calibrated, with its sets and its decision, as a run folder has it."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from longtail.catalogue.method import Method
from longtail.data import Part, Splits
from longtail.posthoc.decisions import Decision
from longtail.runs import calibrated, class_sets, model_decision, outputs
from longtail.runs.fit import Fit
from longtail.runs.predictor import Predictor

KEPT = "memory"
"""Where the model is, in place of a folder."""
READ = 1024
"""Rows read at once."""

log = logging.getLogger(__name__)


def check(method: Method, splits: Splits, *, calibrate: str | None = None, decision: Decision | None = None) -> None:
    """Check, before any training, that the model can be calibrated and can decide as asked.

    Raises:
        ValueError: see `calibrated.check` and `model_decision.check`.
    """
    calibrated.check(calibrate, method, splits, KEPT)
    model_decision.check(decision, method, splits)


@torch.no_grad()
def trained_model(fit: Fit, *, calibrate: str | None = None, decision: Decision | None = None) -> Predictor:
    """Return the model of a training that has been iterated over to its end.

    Args:
        fit: the training, which has no folder.
        calibrate: as of `Fit`: fitted on the validation part.
        decision: not yet fitted, or None for the method's own rule.

    Raises:
        RuntimeError: no epoch has run.
        ValueError: an objective that the validation rows cannot meet.
    """
    splits = fit.trained_on
    predictor = outputs.predictor_of(fit.chosen, splits, fit.learner, fit.device).eval()
    # after a search, what it trained on has the validation rows for its test part
    searched = fit.method.search is not None
    calibrated.calibrate(predictor, fit.splits if searched else splits, calibrate)
    part = fit.splits.val
    scores = None if part is None or part.kind != "given" else _scores(predictor, part)
    if scores is not None and part is not None and not searched:
        predictor.sets = class_sets.fitted(predictor, scores, part)
    if decision is None:
        return predictor
    if scores is None or part is None:
        predictor.decision = decision
        return predictor
    if searched:
        log.warning("%s", model_decision.CHOSEN)
    arrays = _arrays(predictor, scores, part)
    predictor.decision = model_decision.fitted_on(decision, predictor, *arrays, seed=fit.seed)
    return predictor


def _scores(predictor: Predictor, part: Part) -> Tensor:
    return torch.cat([predictor.scores(inputs) for inputs in part.chunks(READ)])


def _arrays(predictor: Predictor, scores: Tensor, part: Part) -> tuple[Any, Any, Any]:
    """Return log-probabilities under the training prior, targets and weights of the rows that count."""
    weight = None if part.sample_weight is None else part.sample_weight.double().cpu().numpy()
    kept = slice(None) if weight is None else weight > 0
    log_probs, targets = predictor.uncalibrated(scores).cpu().numpy(), part.targets.cpu().numpy()
    return log_probs[kept], targets[kept], weight if weight is None else weight[kept]
