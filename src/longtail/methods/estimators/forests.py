"""Random forests as methods: plain, balanced, with the log prior taken off, with thresholds moved."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import torch
from numpy.typing import NDArray

from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.facts.knobs import NonNegativeFloat, Range, WordOrNumber
from longtail.learners.fitted import last_step
from longtail.methods.estimators.build import adjusted, estimator, thresholded
from longtail.methods.estimators.classifiers import Columns, dense_one_hot, size_misfit
from longtail.posthoc.choice import Cost, Goal, PositiveClass

MOST_ROWS = 1_000_000
"""Most training rows; time grows a bit faster than rows."""
MOST_SHARES = 20_000_000
"""Most training rows x classes: every node of every tree has a number for each class."""

Members = Annotated[int, Range(1, 10_000, integer=True)]
Tries = Annotated[float | str, WordOrNumber(("sqrt",), number=Range(0, 1, open_low=True), what="a share")]
Rows = Annotated[int, Range(1, 1_000_000, integer=True)]


def forest(*, n_estimators: Members = 100, max_features: Tries = "sqrt", min_samples_leaf: Rows = 1) -> Method:
    """Random forest (scikit-learn): the mean of trees, each grown on a bootstrap sample of the rows.

    P(y | x) = 1/T sum_t P_t(y | x), P_t the class shares in the leaf of tree t.

    T is n_estimators; each split is the best, by Gini impurity, among the square root of the number of columns, or that
    share of them. Leaves have at least min_samples_leaf rows. Codes are one-hot; columns of more than 255 codes count
    as numbers. With sample weights a row counts as often in shares and impurities; it is drawn as any other.

    Works: Tables of numbers and categories, whatever the scale of the columns; hardly anything to tune.

    Breaks: It ignores class sizes. A class without rows in any of the leaves has probability 0, which is 1e-12 in
    scores: its log loss is poor. It is refused for more than 1,000,000 rows or rows x classes > 20,000,000.

    Paper and code: Breiman 2001 lets the trees vote; scikit-learn, whose defaults these are, averages their shares.
    """
    return _forest("forest", n_estimators, max_features, min_samples_leaf)


def forest_cw(*, n_estimators: Members = 100, max_features: Tries = "sqrt", min_samples_leaf: Rows = 1) -> Method:
    """Random forest with balanced class weights (scikit-learn's class_weight="balanced").

    P(y | x) = 1/T sum_t P_t(y | x), P_t and the impurities of tree t with rows weighted by w_y = N / (C' n_y) for C'
    classes.

    With sample weights n_j and N are their sums. The knobs are those of forest.

    Works: As forest, for the balanced error, where leaves hold rows of several classes (min_samples_leaf > 1).

    Breaks: A leaf of a single class has the same shares whatever its weight: in fully grown trees, the default, the
    weights choose the splits alone. Its probabilities are read as those of classes of equal size, which they come near
    in leaves of many rows and not in fully grown trees: where 3,000 rows of noise have 5 % of a class, its mean
    probability was 0.46 with 50 rows a leaf, 0.41 with 20, 0.19 with 2 and 0.12 with 1.

    Paper and code: No paper of its own; the weights are scikit-learn's, computed once from all rows, not for each
    bootstrap sample ("balanced_subsample").
    """
    return _forest("forest-cw", n_estimators, max_features, min_samples_leaf, balanced=True)


def forest_posthoc(
    *,
    tau: NonNegativeFloat = 1.0,
    n_estimators: Members = 100,
    max_features: Tries = "sqrt",
    min_samples_leaf: Rows = 1,
) -> Method:
    """Random forest with the prior taken off: the log prior is subtracted from its log-probabilities.

    predict argmax log P(y | x) - tau log pi_y, P that of forest; nothing is retrained.

    A class of P = 0 keeps 1e-12: it is never chosen while pi_y^tau > 1e-12 C, as it is at tau = 1 with any data.

    Menon et al. 2021, eq. 9. The knobs are those of forest.

    Works: As forest, for the balanced error: trees of different samples disagree about rows near a rare class, so that
    its share there is small and not 0.

    Breaks: A rare class with P = 0, which no tree has in the leaf of the row, cannot be lifted.

    Paper and code: The paper corrects networks; that of other classifiers is ours.
    """
    plain = forest(n_estimators=n_estimators, max_features=max_features, min_samples_leaf=min_samples_leaf)
    return adjusted(plain, tau)


def forest_threshold(
    *,
    objective: Goal = "balanced_accuracy",
    cost: Cost | None = None,
    positive: PositiveClass | None = None,
    n_estimators: Members = 100,
    max_features: Tries = "sqrt",
    min_samples_leaf: Rows = 1,
) -> Method:
    """Random forest with thresholds moved by tau log pi, tau chosen on validation data.

    predict argmax log P(y | x) - tau log pi_y, P that of forest; tau in [0, 3] the best for the objective on the
    validation part.

    Objective, cost and positive are those of ce-threshold, the other knobs those of forest. A class of P = 0 keeps
    1e-12: at tau = 3 it can be chosen if it has less than about one row in 5,000.

    Works: As forest; its shares are no exact probabilities, so that another tau than 1 may be the best.

    Breaks: As ce-threshold: few validation rows of a class, which the trees do not learn from either.

    Paper and code: Threshold moving (Zhou and Liu 2006) has costs that are given; the search for tau is ours.
    """
    plain = forest(n_estimators=n_estimators, max_features=max_features, min_samples_leaf=min_samples_leaf)
    return thresholded(plain, objective, cost, positive)


def _forest(name: str, members: int, tried: float | str, leaf: int, **options: Any) -> Method:
    features = tried if isinstance(tried, str) else float(tried)
    knobs: dict[str, Any] = {
        "n_estimators": int(members), "max_features": features, "min_samples_leaf": int(leaf),
    }  # fmt: skip
    text = f"{name}({','.join(f'{knob}={value}' for knob, value in knobs.items())})"
    make = partial(_unfitted, **knobs)
    return estimator(text, "forest", make, _misfit, cited("breiman2001random"), keep=_alone, **options)


def _unfitted(columns: Columns, seed: int, targets: NDArray[Any], **knobs: Any) -> Any:
    """Build the forest; its trees grow in as many threads as torch has, and are the same in any number."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    trees = RandomForestClassifier(**knobs, random_state=seed, n_jobs=torch.get_num_threads())
    codes = dense_one_hot(columns, len(targets), others=True)
    return trees if codes is None else make_pipeline(codes, trees)


def _alone(fitted: Any) -> Any:
    """Let the forest predict in one thread: several add the shares in an order that varies."""
    last_step(fitted).set_params(n_jobs=None)
    return fitted


def _misfit(data: Part) -> str | None:
    """Return why a forest cannot learn from these rows, or None."""
    rows, shares = len(data), len(data) * len(data.classes)
    if rows > MOST_ROWS:
        return f"takes at most {MOST_ROWS:,} training rows, got {rows:,}; leave it out, or take trees"
    if shares > MOST_SHARES:
        return f"takes at most {MOST_SHARES:,} training rows x classes, got {shares:,}; leave it out, or take logistic"
    return size_misfit(data)
