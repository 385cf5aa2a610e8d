"""Support vector machines as methods."""

from __future__ import annotations

from functools import partial
from typing import Any

from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat
from longtail.methods.estimators import kernel_classifiers
from longtail.methods.estimators.build import adjusted, estimator, thresholded
from longtail.methods.estimators.kernel_classifiers import Gamma, Kernel
from longtail.posthoc.choice import Cost, Goal, PositiveClass


def svm(*, C: PositiveFloat = 1.0, gamma: Gamma = "scale", kernel: Kernel = "rbf") -> Method:
    """Support vector machine (scikit-learn's SVC) with Platt's probabilities, by which it decides.

    loss = C sum_i max(0, 1 - t_i f(x_i)) + ||f||^2 / 2 for each pair of classes, t in {-1, 1}, f(x) = b + a . k(x, X).

    P(y | x) is 1 / (1 + exp(A_y s_y(x) + B_y)), divided by the sum over the classes where there are more than two; s_y
    are the decision values (one class against the rest, of several), A and B fitted to decision values of rows that the
    machine of their fold has not seen, in five folds dealt by row; the machine that answers has learnt from all rows.
    The kernels are those of kernel-logistic.

    Works: Boundaries that bend, few rows, numbers on one scale.

    Breaks: It ignores class sizes, and a rare class is often all on the wrong side. Of several classes s_y is the votes
    of the pairs and a small rest, so the probabilities move in steps, and a correction has little to move. A class of a
    single row has no decision value that is not fitted to that row: it is taken as it is, so the
    probability of such a class is too high near that row. Refused for more than 20,000 rows or 300 classes.

    Paper and code: Cortes and Vapnik 1995; Platt 1999 for the probabilities. scikit-learn's SVC decides f > 0; here the
    largest P decides, which every rule after it corrects, so they differ in rows near the boundary. Its own
    probability=True is on its way out; this is what its text names instead.
    """
    return _svm("svm", C, gamma, kernel)


def svm_cw(*, C: PositiveFloat = 1.0, gamma: Gamma = "scale", kernel: Kernel = "rbf") -> Method:
    """Support vector machine with balanced class weights (scikit-learn's class_weight="balanced").

    loss = C sum_i w_(y_i) max(0, 1 - t_i f(x_i)) + ||f||^2 / 2 for each pair of classes, w_j = N / (C' n_j).

    Platt's probabilities have the same weights. With sample weights n_j and N are their sums.

    Works: As svm, for the balanced error.

    Breaks: Rows of a rare class become support vectors of great weight. Its probabilities assume classes of equal size;
    that of a class of a single row, which is fitted to its own row, is far too high there.

    Paper and code: No paper of its own; the weights are scikit-learn's. Veropoulos et al. 1999 have a C for each class.
    """
    return _svm("svm-cw", C, gamma, kernel, balanced=True)


def svm_posthoc(
    *, tau: NonNegativeFloat = 1.0, C: PositiveFloat = 1.0, gamma: Gamma = "scale", kernel: Kernel = "rbf"
) -> Method:
    """Post-hoc logit adjustment of a support vector machine: Platt's log-probabilities less the log prior.

    predict argmax log P(y | x) - tau log pi_y, P that of svm; nothing is retrained.

    Menon et al. 2021, eq. 9. Of two classes it moves the threshold on the decision value.

    Works: As svm, for the balanced error, as far as the sigmoid fits.

    Breaks: The hinge loss says nothing of P far from the boundary, and one sigmoid may not fit both sides. Of several
    classes the votes hide it: on three Gaussian classes of 900, 400 and 160 rows, whose best balanced accuracy is 65 %,
    it had 58, svm-cw and kernel-logistic-posthoc 65 % (means of three draws, `python -m benchmarks.kernels`).

    Paper and code: The paper corrects networks; that of other classifiers is ours.
    """
    return adjusted(svm(C=C, gamma=gamma, kernel=kernel), tau)


def svm_threshold(
    *,
    objective: Goal = "balanced_accuracy",
    cost: Cost | None = None,
    positive: PositiveClass | None = None,
    C: PositiveFloat = 1.0,
    gamma: Gamma = "scale",
    kernel: Kernel = "rbf",
) -> Method:
    """Support vector machine with thresholds moved by tau log pi, tau chosen on validation data.

    predict argmax log P(y | x) - tau log pi_y, P that of svm; tau in [0, 3] the best for the objective on the
    validation part.

    Objective, cost and positive are those of ce-threshold.

    Works: As ce-threshold; of two classes the threshold on the decision value is chosen, so the sigmoid need not fit.

    Breaks: As ce-threshold: few validation rows of a class, which the machine does not learn from either.

    Paper and code: Threshold moving (Zhou and Liu 2006) has costs that are given; the search for tau is ours.
    """
    return thresholded(svm(C=C, gamma=gamma, kernel=kernel), objective, cost, positive)


def _svm(name: str, C: float, gamma: float | str, kernel: str, **options: Any) -> Method:
    width = gamma if isinstance(gamma, str) else float(gamma)
    make = partial(kernel_classifiers.svm, C=C, gamma=width, kernel=kernel)
    text = f"{name}(C={float(C)},gamma={width},kernel={kernel})"
    return estimator(text, "svm", make, kernel_classifiers.svm_misfit, cited("cortes1995support"), **options)
