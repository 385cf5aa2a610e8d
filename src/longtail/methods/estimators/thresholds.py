"""scikit-learn's classifiers with thresholds moved by a strength that is chosen on validation data."""

from __future__ import annotations

from longtail.catalogue.method import Method
from longtail.facts.knobs import PositiveFloat
from longtail.methods.estimators.baselines import ITERATIONS, LEAVES, RATE, Iterations, Leaves, Rate, logistic, trees
from longtail.methods.estimators.build import thresholded
from longtail.posthoc.choice import Cost, Goal, PositiveClass


def logistic_threshold(
    *,
    objective: Goal = "balanced_accuracy",
    cost: Cost | None = None,
    positive: PositiveClass | None = None,
    C: PositiveFloat = 1.0,
) -> Method:
    """Logistic regression with thresholds moved by tau log pi, tau chosen on validation data.

    predict argmax log P(y | x) - tau log pi_y, P that of logistic; tau in [0, 3] the best for the objective on the
    validation part.

    Objective, cost and positive are those of ce-threshold.

    Works: As ce-threshold; the classifier serves every tau.

    Breaks: As ce-threshold: few validation rows of a class, which the classifier does not learn from either.

    Paper and code: Threshold moving (Zhou and Liu 2006) has costs that are given; the search for tau is ours.
    """
    return thresholded(logistic(C=C), objective, cost, positive)


def trees_threshold(
    *,
    objective: Goal = "balanced_accuracy",
    cost: Cost | None = None,
    positive: PositiveClass | None = None,
    learning_rate: Rate = RATE,
    max_iter: Iterations = ITERATIONS,
    max_leaf_nodes: Leaves = LEAVES,
) -> Method:
    """Gradient-boosted trees with thresholds moved by tau log pi, tau chosen on validation data.

    predict argmax log P(y | x) - tau log pi_y, P that of trees; tau in [0, 3] the best for the objective on the
    validation part.

    Objective, cost and positive are those of ce-threshold.

    Works: As trees; where these give rare classes probabilities that are too low, a larger tau than 1 makes up for it.

    Breaks: As ce-threshold: few validation rows of a class, which the trees do not learn from either.

    Paper and code: Threshold moving (Zhou and Liu 2006) has costs that are given; the search for tau is ours.
    """
    plain = trees(learning_rate=learning_rate, max_iter=max_iter, max_leaf_nodes=max_leaf_nodes)
    return thresholded(plain, objective, cost, positive)
