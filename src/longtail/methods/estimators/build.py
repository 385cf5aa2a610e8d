"""A scikit-learn classifier as a method: plain, with the log prior taken off, with thresholds moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from longtail import posthoc
from longtail.catalogue.implied import Implied, uniform
from longtail.catalogue.method import Method, Misfit
from longtail.catalogue.references import Reference, cited
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners.estimator import EstimatorLearner, EvaluateOnly, no_optimizer
from longtail.methods.estimators import classifiers
from longtail.methods.supervised.moved_thresholds import tuned_threshold

TRAINS = "a scikit-learn classifier"
EAGER = "a scikit-learn classifier predicts on the CPU"
ROWS = 4096
"""Batch size for evaluating the training loss."""


def estimator(
    text: str,
    plain: str,
    make: Callable[..., Any],
    misfit: Misfit,
    reference: Reference,
    *,
    prior: Implied | None = None,
    trains: str = TRAINS,
    given: bool = False,
    **options: Any,
) -> Method:
    """Return a method of one stage whose single epoch is the fit.

    Args:
        text: name and knobs, the text of the stage.
        plain: key of the classifier without class weights, resampling or correction.
        make: columns, seed and (N,) class indices of the training rows -> an unfitted classifier or pipeline.
        misfit: which training parts it refuses, and why.
        reference: where it comes from.
        prior: class counts -> the class prior of its probabilities; None means the counts, or, for balanced
            weights, equal classes.
        trains: what is trained, in words.
        given: whether it is a classifier of the user's, which may be one that cannot be saved.
        options: of `EstimatorLearner`.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = data.labeled
            if (reason := misfit(rows)) is not None:
                raise ValueError(f"{text.partition('(')[0]} {reason}")
            columns, drawn = classifiers.columns_of(recipe, rows), rows.drawn(ROWS)
            again: dict[str, Any] = {"rows": drawn} if given else {}
            learner = EstimatorLearner(partial(make, columns), len(rows.classes), **again, **options)
            return Built(learner, drawn, EvaluateOnly())

        return (Stage("fit", text, build, 1, no_optimizer, lambda progress: 0.0, eager=EAGER),)

    return Method(
        stages,
        reference,
        prior=uniform if prior is None and options.get("balanced") else prior,
        inputs="table or features",
        misfit=misfit,
        slots=frozenset(),
        twin=plain,
        trains=trains,
    )


def adjusted(plain: Method, tau: float) -> Method:
    """Return a classifier with tau log prior subtracted from its log-probabilities; nothing is retrained."""
    rule = partial(posthoc.LogitAdjustment, tau=tau)
    return replace(plain, posthoc=rule, prior=None, reference=cited("menon2021long"))


def thresholded(plain: Method, objective: str, cost: str | None, positive: str | int | None) -> Method:
    """Return a classifier with its log-probabilities moved by tau log prior, tau chosen on validation data."""
    return tuned_threshold(replace(plain, reference=cited("zhou2006training")), objective, cost, positive)
