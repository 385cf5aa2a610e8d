"""The score of one training on one part of its data."""

from __future__ import annotations

from longtail.data import Examples, Splits
from longtail.engine import Recipe
from longtail.metrics import evaluate
from longtail.runs.train import Fit


def balanced_accuracy(spec: str, splits: Splits, part: Examples, seed: int, recipe: Recipe) -> float:
    """Train with one thread, and return the balanced accuracy on this part."""
    fit = Fit(spec, splits, seed=seed, recipe=recipe, threads=1)
    for _ in fit:
        pass
    learner = fit.learner.train(False)
    scores = learner.predict(part.inputs)
    return float(evaluate(scores, part.targets, class_counts=splits.class_counts)["balanced_accuracy"])
