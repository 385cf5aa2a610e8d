"""Thresholds moved after plain or logit-adjusted training: by a strength that is chosen, or by costs that are given."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from longtail import posthoc
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Check, Method
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.engine import Recipe
from longtail.facts.messages import quoted
from longtail.methods.supervised.logit_adjustment import OWN, logit_adjusted
from longtail.methods.supervised.plain import PLAIN
from longtail.posthoc.choice import Cost, Goal, PositiveClass
from longtail.posthoc.decisions import read_cost
from longtail.posthoc.decisions.costs import class_index

TUNED_FOR = "objective"
"""The knob of every method with a chosen threshold that a comparison sets to its metric."""


def ce_threshold(
    *, objective: Goal = "balanced_accuracy", cost: Cost | None = None, positive: PositiveClass | None = None
) -> Method:
    """Plain training, then thresholds moved by tau log pi, with tau chosen on validation data.

    predict argmax z - tau log pi, tau in [0, 3] the best for the objective on the validation part.

    A comparison chooses tau for its own metric unless an objective is given. An objective of one class, as "f1" or
    "recall>=0.9", is about `positive`, by default the rarest class; with `cost`, in words or a file, tau is chosen for
    the least cost. Where no tau meets a condition, that which comes nearest.

    Threshold moving (Zhou and Liu 2006) with row costs pi^(-tau).

    Works: The validation part (--val 0.2) has enough rows of the rare classes to tell one tau from another. One network
    serves every tau.

    Breaks: With few validation rows per class the chosen tau is noise; and the network is not trained on these rows.

    Paper and code: The paper's costs are given, not chosen; the costs pi^(-tau) and the search for tau are ours.
    """
    return tuned_threshold(Method(PLAIN, cited("zhou2006training")), objective, cost, positive)


def logit_adjusted_threshold(
    *, objective: Goal = "balanced_accuracy", cost: Cost | None = None, positive: PositiveClass | None = None
) -> Method:
    """The logit-adjusted network with its thresholds moved by a strength chosen on validation data.

    predict argmax z - (tau - 1) log pi, z of logit-adjusted at tau = 1; tau in [0, 3] the best for the objective on the
    validation part. At tau = 1 nothing is moved.

    The knobs are those of ce-threshold.

    The loss of Menon et al. 2021, eq. 10, with the correction of eq. 9 on top; one network serves every tau.

    Works: As ce-threshold, where the network is trained for balanced classes and misses them: rare classes recalled
    too seldom (tau > 1) or frequent ones too seldom (tau < 1).

    Breaks: With few validation rows per class the chosen tau is noise, and the network is not trained on these rows.
    Where logit-adjusted is right already, there is nothing to gain.

    Paper and code: Neither has it: the paper's rows with a tuned tau correct the scores of plain training, which is
    ce-threshold, and its loss has tau = 1. To train with another tau, give it: logit-adjusted(tau=1.5).
    """
    plain = Method(
        logit_adjusted(tau=1.0).stages, cited("menon2021long"), own=OWN, prior=uniform, twin="logit-adjusted"
    )
    return tuned_threshold(plain, objective, cost, positive, trained=1.0)


def threshold_moving(*, cost: Cost = "missed=10,false=1", positive: PositiveClass | None = None) -> Method:
    """Threshold moving by given costs: plain training, then each class is weighed by what missing it costs.

    predict argmax softmax(z)_k sum_j Cost[k, j] over k, z the logits of ce; Cost[k, j] of calling a k a j.

    Costs are "missed=10,false=1" for one class, by default the rarest, against the rest, or the path of a file of
    comma-separated costs with the class names in its first row and first column. The default is an example.

    Zhou and Liu 2006, section 2.3.

    Works: The probabilities of ce are good, and a mistake costs what its true class costs, whatever it is called: the
    rule is then Bayes' rule.

    Breaks: Row sums forget what an example is taken for. With costs that differ in that, least expected cost is the
    better rule (longtail train --cost). It is no better than the probabilities.

    Paper and code: Formula from the paper's account; no released code was compared. A file of costs is read at the end
    of the training and kept with the model; a changed file needs another folder.
    """
    check = cost_check(cost, positive, row_sums=True)
    rule = partial(posthoc.ThresholdMoving, cost=cost, positive=positive)
    return Method(PLAIN, cited("zhou2006training"), posthoc=rule, checks=(check,))


def tuned_threshold(
    plain: Method, goal: str, cost: str | None, positive: str | int | None, *, trained: float = 0.0
) -> Method:
    """Return a method with its scores moved by tau log pi, tau chosen for an objective on validation data.

    Args:
        plain: the method below.
        goal: the objective.
        cost: what mistakes cost, where that is the objective.
        positive: name or index of the class of an objective of one class; None is the rarest.
        trained: the tau of its loss.
    """
    if cost is not None and goal in ("balanced_accuracy", "cost"):
        goal = "cost"
    elif cost is not None or goal == "cost":
        raise ValueError(
            f"cost is of the objective cost, got objective={quoted(goal)} and cost={quoted(cost)}; give cost alone, as "
            'in cost="missed=10,false=1", or another objective alone'
        )
    rule: Any = partial(posthoc.TunedLogitAdjustment, trained=trained)
    if goal != "balanced_accuracy":
        rule = partial(rule, metric=goal, cost=cost, positive=positive)
    return replace(
        plain,
        posthoc=rule,
        needs_val=True,
        checks=(*plain.checks, cost_check(cost, positive)),
        tuned_for=TUNED_FOR,
    )


def cost_check(cost: str | None, positive: str | int | None, *, row_sums: bool = False) -> Check:
    """Return the check of costs and of the positive class against the classes of the training rows."""

    def check(recipe: Recipe, rows: Part) -> str | None:
        try:
            k = 0 if positive is None else class_index(positive, rows.classes, "positive")
            matrix = None if cost is None else read_cost(cost, rows.classes, k)
            if row_sums and matrix is not None:
                posthoc.move_threshold(matrix[:1] * 0 + 1 / len(matrix), matrix)  # refuses a diagonal
        except (ValueError, OSError) as error:
            return str(error)
        return None

    return check
