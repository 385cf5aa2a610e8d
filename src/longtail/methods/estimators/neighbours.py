"""k nearest neighbours as methods: plain, with balanced votes, with the log prior taken off, with thresholds moved."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from longtail.catalogue.implied import Implied, uniform
from longtail.catalogue.method import Method, Misfit
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.facts.knobs import Choice, NonNegativeFloat, Range
from longtail.methods.estimators.build import adjusted, estimator, thresholded
from longtail.methods.estimators.classifiers import (
    MOST_FEATURES,
    Columns,
    dense_one_hot,
    size_misfit,
    without_weights,
)
from longtail.posthoc.choice import Cost, Goal, PositiveClass

MOST_ROWS = 200_000
"""Most training rows, which are all compared with each other once, for the training loss: 4 x 10^10 distances."""
MOST_NUMBERS = 100_000_000
"""Most numbers of all training rows, which the saved model holds: 800 MB."""

Neighbours = Annotated[int, Range(1, 10_000, integer=True)]
Votes = Annotated[str, Choice(("uniform", "distance"))]


def knn(*, k: Neighbours = 5, weights: Votes = "uniform") -> Method:
    """k nearest neighbours (scikit-learn): the shares of the classes among the k closest training rows.

    P(y | x) = sum_(i in N_k(x)) v_i [y_i = y] / sum_(i in N_k(x)) v_i, v_i = 1, or 1 / ||x - x_i|| for weights
    "distance".

    Distances are Euclidean, of scaled numbers and one-hot codes; columns of more than 255 codes are left out. The
    training loss counts a row as its own neighbour.

    Works: Few numbers on one scale, or the features of a good encoder, where close rows are alike.

    Breaks: It ignores class sizes: a class with fewer than k / 2 rows around hardly ever wins. Columns that say nothing
    count like all others. A class without a neighbour has probability 0, which is 1e-12 in scores. The saved model
    holds all training rows. It is refused for more than 200,000 rows, for sample weights and for fewer than k rows.

    Paper and code: Cover and Hart 1967 have k = 1; scikit-learn, whose defaults these are, has any k.
    """
    return _knn("knn", k, weights)


def knn_cw(*, k: Neighbours = 5, weights: Votes = "uniform") -> Method:
    """k nearest neighbours with balanced votes: the vote of a neighbour weighs 1 / n of its class.

    P(y | x) = a_y / sum_j a_j, a_j = 1 / n_j sum_(i in N_k(x)) v_i [y_i = j].

    The knobs and v are those of knn. This is knn-posthoc at tau = 1, normalised to one. Votes can tie, as one of a
    class of a single row with three of a class of three: rounding then decides, and may differ between the two.

    Works: As knn, for the balanced error: one neighbour of a rare class outvotes many of a frequent one.

    Breaks: The single vote decides, right or wrong; with a larger k more rows have one. Its probabilities assume
    classes of equal size.

    Paper and code: No paper of its own.
    """
    return _knn("knn-cw", k, weights, prior=uniform)


def knn_posthoc(*, tau: NonNegativeFloat = 1.0, k: Neighbours = 5, weights: Votes = "uniform") -> Method:
    """Post-hoc logit adjustment of k nearest neighbours: the log prior is subtracted from their log-probabilities.

    predict argmax log P(y | x) - tau log pi_y, P that of knn; nothing is retrained.

    A class of P = 0 keeps 1e-12: it is never chosen while pi_y^tau > 1e-12 k for uniform votes, as it is at tau = 1
    with any data.

    Menon et al. 2021, eq. 9. The knobs are those of knn. At tau = 1 it predicts as knn-cw but for ties.

    Works: As knn, for the balanced error.

    Breaks: A rare class without a vote cannot be lifted; a larger k has fewer shares of 0.

    Paper and code: The paper corrects networks; that of other classifiers is ours.
    """
    return adjusted(knn(k=k, weights=weights), tau)


def knn_threshold(
    *,
    objective: Goal = "balanced_accuracy",
    cost: Cost | None = None,
    positive: PositiveClass | None = None,
    k: Neighbours = 5,
    weights: Votes = "uniform",
) -> Method:
    """k nearest neighbours with thresholds moved by tau log pi, tau chosen on validation data.

    predict argmax log P(y | x) - tau log pi_y, P that of knn; tau in [0, 3] the best for the objective on the
    validation part.

    Objective, cost and positive are those of ce-threshold, the other knobs those of knn. A class of P = 0 keeps 1e-12:
    at tau = 3 it can be chosen if it has less than about one row in 5,000.

    Works: As knn; one k serves every tau.

    Breaks: As ce-threshold: few validation rows of a class, which are no neighbours either. k votes have few values, so
    that many tau predict the same.

    Paper and code: Threshold moving (Zhou and Liu 2006) has costs that are given; the search for tau is ours.
    """
    return thresholded(knn(k=k, weights=weights), objective, cost, positive)


def _knn(name: str, k: int, weights: str, prior: Implied | None = None) -> Method:
    text = f"{name}(k={int(k)},weights={weights})"
    make = partial(_unfitted, k=int(k), weights=weights, balanced=prior is not None)
    return estimator(text, "knn", make, _misfit(int(k)), cited("cover1967nearest"), prior=prior)


def _unfitted(columns: Columns, seed: int, targets: NDArray[np.int64], *, k: int, weights: str, balanced: bool) -> Any:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from longtail.classical.balanced_votes import BalancedVotes

    if k > len(targets):
        raise ValueError(
            f"knn needs k training rows of sample weight > 0 or more, got k={k}, {len(targets):,}; lower k"
        )
    votes = KNeighborsClassifier(k, weights=weights)
    codes = dense_one_hot(columns, len(targets), others=False)
    scaled = StandardScaler() if not columns.scaled else codes
    last = BalancedVotes(votes) if balanced else votes
    return last if scaled is None else make_pipeline(scaled, last)


def _misfit(k: int) -> Misfit:
    """Return what refuses training parts for k neighbours."""

    def refuse(data: Part) -> str | None:
        if len(data) > MOST_ROWS:
            return (
                f"takes at most {MOST_ROWS:,} training rows (each is compared with all), got {len(data):,}; leave it "
                "out, or take forest or trees"
            )
        if len(data) < k:
            return f"needs k training rows or more, got k={k} and {len(data):,}; lower k"
        if (reason := size_misfit(data, MOST_FEATURES)) is not None:
            return reason
        numbers = len(data) * int(np.prod(data.input_shape))
        if numbers > MOST_NUMBERS:
            return f"takes at most {MOST_NUMBERS:,} numbers in all training rows, got {numbers:,}; leave it out"
        return None

    return without_weights(refuse)
