"""scikit-learn's classifiers: baselines for tables and features.

They learn from the same training rows and are scored, corrected and saved like every other method. Codes of
categories are categories; numbers of a table are scaled already; other features are scaled to mean 0 and deviation 1.
Examples of more than one axis are flattened where they hold at most 1,024 values. Nothing but the trees' early
stopping is random, so seeds differ little or not at all.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, Range
from longtail.methods.estimators import classifiers
from longtail.methods.estimators.build import adjusted, estimator

Rate = Annotated[float, Range(0, 1, open_low=True)]
Iterations = Annotated[int, Range(1, 10_000, integer=True)]
Leaves = Annotated[int, Range(2, 65_535, integer=True)]
RATE, ITERATIONS, LEAVES = 0.1, 100, 31
"""scikit-learn's defaults of the three knobs of `trees`."""


def logistic(*, C: PositiveFloat = 1.0) -> Method:
    """Logistic regression (scikit-learn): the linear baseline, one-hot categories, L2 penalty.

    loss = sum_i -log softmax(W x_i + b)_(y_i) + ||W||^2 / (2 C), minimised by L-BFGS (at most 1,000 iterations).

    A code that no training row has is no category: all its columns are 0.

    Works: Classes that are nearly separated by planes, as in the features of a good encoder, and few rows.

    Breaks: Effects that multiply or bend, which it cannot have. It ignores class sizes. Refused for training rows x
    classes > 100,000,000.

    Paper and code: Cox 1958 has two classes, for which scikit-learn has one weight vector and the sigmoid. Its
    defaults, but for 1,000 iterations in place of 100.
    """
    return _logistic("logistic", C)


def logistic_cw(*, C: PositiveFloat = 1.0) -> Method:
    """Logistic regression with balanced class weights (scikit-learn's class_weight="balanced").

    loss = sum_i -w_(y_i) log softmax(W x_i + b)_(y_i) + ||W||^2 / (2 C), w_j = N / (C' n_j) for C' classes.

    With sample weights n_j and N are their sums.

    Works: As logistic, for the balanced error: weights of 1 / pi make the log loss consistent for it.

    Breaks: The single rows of a very rare class move the planes. Its probabilities assume classes of equal size.

    Paper and code: No paper of its own; the weights are scikit-learn's.
    """
    return _logistic("logistic-cw", C, balanced=True)


def logistic_posthoc(*, tau: NonNegativeFloat = 1.0, C: PositiveFloat = 1.0) -> Method:
    """Post-hoc logit adjustment of logistic regression: the log prior is subtracted from its log-probabilities.

    predict argmax log P(y | x) - tau log pi_y, P that of logistic; nothing is retrained.

    Menon et al. 2021, eq. 9.

    Works: As logistic, for the balanced error: where its probabilities are exact, tau = 1 is the best rule.

    Breaks: Where planes do not fit the classes, the probabilities are wrong and so is their correction.

    Paper and code: The paper corrects networks; that of other classifiers is ours.
    """
    return adjusted(logistic(C=C), tau)


def trees(*, learning_rate: Rate = RATE, max_iter: Iterations = ITERATIONS, max_leaf_nodes: Leaves = LEAVES) -> Method:
    """Gradient-boosted trees on histograms (scikit-learn): the strongest baseline for most tables.

    P(y | x) = softmax(F(x))_y, F_j(x) = b_j + learning_rate sum_t tree_tj(x), each tree fitted to the gradient of the
    log loss.

    Beyond 10,000 rows it stops early, by the loss on a tenth of the training rows held out at random, unless some class
    has a single row. Columns of more than 255 codes count as numbers.

    Works: Tables of numbers and categories, whatever the scale of the columns, and effects that bend or interact.

    Breaks: It ignores class sizes. Classes of a few rows can make it diverge (worse on its own training rows than the
    class shares): it is then fitted again with a third of the learning rate, at most three times. It is refused for
    more than 200 classes, since every iteration grows a tree for each.

    Paper and code: Friedman 2001; histograms and the search by leaves as in Ke et al. 2017, LightGBM: A Highly
    Efficient Gradient Boosting Decision Tree. The code is scikit-learn's, with its defaults.
    """
    return _trees("trees", learning_rate, max_iter, max_leaf_nodes)


def trees_cw(
    *, learning_rate: Rate = RATE, max_iter: Iterations = ITERATIONS, max_leaf_nodes: Leaves = LEAVES
) -> Method:
    """Gradient-boosted trees with balanced class weights (scikit-learn's class_weight="balanced").

    P(y | x) = softmax(F(x))_y as in trees, each row's gradient weighted by w_y = N / (C' n_y) for C' classes.

    With sample weights n_j and N are their sums.

    Works: As trees, for the balanced error.

    Breaks: Few rows of a rare class have large weights and soon a leaf of their own. Its probabilities assume classes
    of equal size.

    Paper and code: No paper of its own; the weights are scikit-learn's.
    """
    return _trees("trees-cw", learning_rate, max_iter, max_leaf_nodes, balanced=True)


def trees_posthoc(
    *,
    tau: NonNegativeFloat = 1.0,
    learning_rate: Rate = RATE,
    max_iter: Iterations = ITERATIONS,
    max_leaf_nodes: Leaves = LEAVES,
) -> Method:
    """Post-hoc logit adjustment of gradient-boosted trees: the log prior is subtracted from their log-probabilities.

    predict argmax log P(y | x) - tau log pi_y, P that of trees; nothing is retrained.

    Menon et al. 2021, eq. 9.

    Works: As trees, for the balanced error, where their probabilities are good.

    Breaks: Trees that fit their training rows closely give rare classes probabilities near 0, which tau = 1 does not
    lift enough.

    Paper and code: The paper corrects networks; that of other classifiers is ours.
    """
    return adjusted(trees(learning_rate=learning_rate, max_iter=max_iter, max_leaf_nodes=max_leaf_nodes), tau)


def _logistic(name: str, C: float, **options: Any) -> Method:
    make = partial(classifiers.logistic, C=C)
    reference = cited("cox1958regression")
    return estimator(f"{name}(C={float(C)})", "logistic", make, classifiers.logistic_misfit, reference, **options)


def _trees(name: str, rate: float, iterations: int, leaves: int, *, balanced: bool = False) -> Method:
    knobs: dict[str, Any] = {"learning_rate": float(rate), "max_iter": int(iterations), "max_leaf_nodes": int(leaves)}
    text = f"{name}({','.join(f'{knob}={value}' for knob, value in knobs.items())})"
    options: dict[str, Any] = {"balanced": balanced, "gentler": classifiers.slower}
    return estimator(
        text,
        "trees",
        partial(classifiers.boosting, **knobs),
        classifiers.boosting_misfit,
        cited("friedman2001greedy"),
        **options,
    )
