"""Gradient-boosted trees on resampled rows; their probabilities refer to the classes as resampled."""

from __future__ import annotations

from functools import partial
from typing import Any

from longtail.catalogue.method import Method
from longtail.methods.estimators import classifiers
from longtail.methods.estimators.baselines import ITERATIONS, LEAVES, RATE, Iterations, Leaves, Rate
from longtail.methods.estimators.resampled import OVER, UNDER, Kind
from longtail.methods.estimators.samplers import Neighbors, Ratio, Sampling, resampled


def trees_smote(
    *,
    ratio: Ratio = 1.0,
    k_neighbors: Neighbors = 5,
    learning_rate: Rate = RATE,
    max_iter: Iterations = ITERATIONS,
    max_leaf_nodes: Leaves = LEAVES,
) -> Method:
    """SMOTE under gradient-boosted trees: rare classes get new rows on lines between their own (imbalanced-learn).

    P(y | x) = softmax(F(x))_y as in trees, fitted to the given rows and, for class j, max(0, floor(ratio n_max) - n_j)
    new ones x + u (x' - x), u ~ U(0, 1), x' one of the k nearest rows of the class of x.

    Chawla et al. 2002. As logistic-smote otherwise; features that are no table are scaled first. It never stops early:
    rows held out for that would lie between rows that it learns from.

    Works: As logistic-smote; leaves need 20 rows, which a rare class has only with new ones.

    Breaks: As logistic-smote. Trees can cut out the lines between single rows.

    Paper and code: The paper has two classes and C4.5. The sampler is imbalanced-learn's.
    """
    sampling = Sampling("smote", over=ratio, k_neighbors=k_neighbors)
    own = {"ratio": ratio, "k_neighbors": k_neighbors}
    return _trees("trees-smote", sampling, "chawla2002smote", own, learning_rate, max_iter, max_leaf_nodes)


def trees_borderline_smote(
    *,
    ratio: Ratio = 1.0,
    k_neighbors: Neighbors = 5,
    m_neighbors: Neighbors = 10,
    kind: Kind = "borderline-1",
    learning_rate: Rate = RATE,
    max_iter: Iterations = ITERATIONS,
    max_leaf_nodes: Leaves = LEAVES,
) -> Method:
    """Borderline SMOTE under gradient-boosted trees: new rows only beside rows of a class that are in danger.

    P(y | x) = softmax(F(x))_y as in trees-smote, x in danger: at least half of its m nearest rows are of other
    classes, but not all.

    Han et al. 2005. As logistic-borderline-smote otherwise.

    Works: Classes that overlap at their border, where the rows decide on the boundary.

    Breaks: As logistic-borderline-smote: lone rows count as noise, and columns of categories are refused.

    Paper and code: As logistic-borderline-smote; the paper has C4.5.
    """
    sampling = Sampling(kind, over=ratio, k_neighbors=k_neighbors, m_neighbors=m_neighbors)
    own = {"ratio": ratio, "k_neighbors": k_neighbors, "m_neighbors": m_neighbors, "kind": kind}
    return _trees("trees-borderline-smote", sampling, "han2005borderline", own, learning_rate, max_iter, max_leaf_nodes)


def trees_over(
    *,
    ratio: Ratio = 1.0,
    learning_rate: Rate = RATE,
    max_iter: Iterations = ITERATIONS,
    max_leaf_nodes: Leaves = LEAVES,
) -> Method:
    """Random over-sampling under gradient-boosted trees: rows of rare classes are repeated (imbalanced-learn).

    P(y | x) = softmax(F(x))_y as in trees, fitted to the given rows and, for class j, max(0, floor(ratio n_max) - n_j)
    of its rows drawn again with replacement.

    As compared by Buda et al. 2018. It never stops early: rows held out for that would be copies of others.

    Works: As trees-cw; the copies also count for the fewest rows of a leaf, so that rare rows get leaves.

    Breaks: A row that is repeated 20 times has a leaf of its own.

    Paper and code: The paper trains networks. It is imbalanced-learn's.
    """
    sampling = Sampling(over=ratio)
    return _trees(
        "trees-over", sampling, "buda2018systematic", {"ratio": ratio}, learning_rate, max_iter, max_leaf_nodes
    )


def trees_under(
    *,
    ratio: Ratio = 1.0,
    learning_rate: Rate = RATE,
    max_iter: Iterations = ITERATIONS,
    max_leaf_nodes: Leaves = LEAVES,
) -> Method:
    """Random under-sampling under gradient-boosted trees: rows of large classes are left out (imbalanced-learn).

    P(y | x) = softmax(F(x))_y as in trees, fitted to min(n_j, floor(n_min / ratio)) rows of class j, drawn once without
    replacement.

    As compared by Buda et al. 2018. The ratio is that of the smallest to the largest class, 1 / that of under-rs.

    Works: The smallest class has hundreds of rows: the fit is short, and what is left out says little more.

    Breaks: A leaf needs 20 rows: below 40 rows in all, no tree has a split and all examples get the same scores.

    Paper and code: The paper trains networks. It is imbalanced-learn's.
    """
    sampling = Sampling(under=ratio)
    own = {"ratio": ratio}
    return _trees("trees-under", sampling, "buda2018systematic", own, learning_rate, max_iter, max_leaf_nodes)


def trees_smote_under(
    *,
    over: Ratio = OVER,
    under: Ratio = UNDER,
    k_neighbors: Neighbors = 5,
    learning_rate: Rate = RATE,
    max_iter: Iterations = ITERATIONS,
    max_leaf_nodes: Leaves = LEAVES,
) -> Method:
    """SMOTE with under-sampling, under gradient-boosted trees: rare classes are raised, then large ones are lowered.

    P(y | x) = softmax(F(x))_y as in trees, fitted to m_j = min(n'_j, floor(n'_min / under)) rows of class j, n'_j =
    max(n_j, floor(over n_max)) rows after SMOTE.

    Chawla et al. 2002, who combine the two throughout. It never stops early, as trees-smote.

    Works: As trees-smote, with a tenth of the new rows at the defaults, and a fit on a fraction of the rows.

    Breaks: As trees-smote. Rows of large classes are thrown away.

    Paper and code: As logistic-smote-under; the paper has C4.5.
    """
    sampling = Sampling("smote", over=over, under=under, k_neighbors=k_neighbors)
    own = {"over": over, "under": under, "k_neighbors": k_neighbors}
    return _trees("trees-smote-under", sampling, "chawla2002smote", own, learning_rate, max_iter, max_leaf_nodes)


def _trees(
    key: str, sampling: Sampling, reference: str, own: dict[str, Any], rate: float, iterations: int, leaves: int
) -> Method:
    knobs: dict[str, Any] = {"learning_rate": float(rate), "max_iter": int(iterations), "max_leaf_nodes": int(leaves)}
    make = partial(classifiers.boosting, **knobs)
    return resampled(key, "trees", make, classifiers.boosting_misfit, sampling, reference, **own, **knobs)
