"""The sets of classes of a saved model: fitted on its validation part, predicted for new rows, and summed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from longtail.facts.messages import visible
from longtail.facts.set_promises import promise_notes
from longtail.facts.set_ranks import exact_level
from longtail.posthoc.sets.split import ConformalSets
from longtail.runs import priors

if TYPE_CHECKING:
    from longtail.data import Part
    from longtail.runs.predictor import Predictor


def fitted(predictor: Predictor, scores: Tensor, part: Part) -> ConformalSets:
    """Return sets that are fitted on the validation part.

    They are of the probabilities under the training prior before any calibration: one that is fitted on the same rows
    would make their scores look better than those of new rows, and a promise per class does not need it.

    Args:
        predictor: of the training.
        scores: (N, C) of the part, before any rule.
        part: rows that were not trained on.
    """
    sets = ConformalSets(len(predictor.classes)).to(scores.device)
    return sets.fit(log_probs(predictor, scores), part.targets, sample_weight=part.sample_weight)


def log_probs(predictor: Predictor, scores: Tensor) -> Tensor:
    """Return log-probabilities (N, C) float64 under the training prior, before any calibration."""
    return priors.under(predictor.log_probabilities(scores), predictor.prior, predictor.training_prior)


def check(predictor: Predictor, level: Any, name: str = "sets") -> None:
    """Check that a model has sets and that the level is one.

    Raises:
        ValueError: a level outside (0, 1), or a model that was trained without validation rows.
        TypeError: no number.
    """
    exact_level(level, name)
    if predictor.sets is None:
        raise ValueError(
            f"{name} needs rows that the training left aside, and this model has none; train it again with a "
            "validation part (--val 0.2, without a search and without --select val), or fit lt.posthoc.ConformalSets "
            "on other labelled rows"
        )


def predicted(
    predictor: Predictor, scores: Tensor, probabilities: Tensor, level: float
) -> tuple[tuple[tuple[str, ...], ...], dict[str, Any], list[str]]:
    """Return the sets of rows as class names, a summary for JSON, and notes on what is promised.

    Args:
        predictor: with sets; see `check`.
        scores: (N, C) before any rule.
        probabilities: (N, C), by which the names in a set are ordered, the most probable first.
        level: 1 - a.
    """
    sets: Any = predictor.sets
    held: Tensor = sets.sets(log_probs(predictor, scores), level).cpu()
    given = sets.promises(level)
    order = torch.where(held, probabilities.cpu(), -1.0).sort(dim=1, descending=True, stable=True).indices.tolist()
    sizes = held.sum(1).tolist()
    names = tuple(tuple(predictor.classes[j] for j in row[:n]) for row, n in zip(order, sizes, strict=True))
    summary = {
        "level": float(level),
        "mean_size": sum(sizes) / max(len(sizes), 1),
        "empty": sizes.count(0),
        "classes": {
            name: {"n": p.n, "needs": p.needs, "promised": p.promised}
            for name, p in zip(predictor.classes, given, strict=True)
        },
    }
    return names, summary, promise_notes(given, [visible(c) for c in predictor.classes], exact_level(level))
