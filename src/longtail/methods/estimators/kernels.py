"""Kernel logistic regression as methods, and the plug-in rule, whose paper has it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from longtail import posthoc
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat
from longtail.methods.estimators import kernel_classifiers
from longtail.methods.estimators.build import adjusted, estimator, thresholded
from longtail.methods.estimators.kernel_classifiers import Gamma, Kernel
from longtail.posthoc.choice import Cost, Goal, PositiveClass


def kernel_logistic(*, C: PositiveFloat = 1.0, gamma: Gamma = "scale", kernel: Kernel = "rbf") -> Method:
    """Kernel logistic regression: logistic regression with a smooth boundary of any shape, for smaller tables.

    loss = sum_i -log softmax(f(x_i))_(y_i) + sum_j ||f_j||^2 / (2 C), f_j(x) = b_j + sum_i a_ij k(x, x_i).

    Two classes have one f and the sigmoid, as in logistic; b_j has no penalty. k is exp(-gamma ||x - x'||^2) for kernel
    "rbf", x . x' for "linear", (gamma x . x')^3 for "poly"; gamma "scale" is 1 / (D var(X)), "auto" 1 / D, of scaled
    numbers and one-hot codes. It is scikit-learn's logistic regression on the root of the kernel matrix, up to 2,000
    rows exactly, beyond on 500 landmarks from all classes alike (Nystroem). A saved model of 2,000 rows has 32 MB.

    Works: Boundaries that bend, few rows, numbers on one scale; its probabilities are those of a proper loss.

    Breaks: Many columns that say nothing blur the kernel, and the one C and gamma are not tuned. It ignores class
    sizes. It is refused for more than 200,000 rows.

    Paper and code: Zhu and Hastie 2005 add rows to the sum one by one, as far as they help (the import vector machine);
    here all rows count, or landmarks drawn at random. No released code was compared.
    """
    return _kernel_logistic("kernel-logistic", C, gamma, kernel)


def kernel_logistic_cw(*, C: PositiveFloat = 1.0, gamma: Gamma = "scale", kernel: Kernel = "rbf") -> Method:
    """Kernel logistic regression with balanced class weights (scikit-learn's class_weight="balanced").

    loss = sum_i -w_(y_i) log softmax(f(x_i))_(y_i) + sum_j ||f_j||^2 / (2 C), w_j = N / (C' n_j) for C' classes.

    f and the knobs are those of kernel-logistic. With sample weights n_j and N are their sums.

    Works: As kernel-logistic, for the balanced error: weights of 1 / pi make the log loss consistent for it.

    Breaks: The single rows of a very rare class get islands of their own. Its probabilities assume classes of equal
    size.

    Paper and code: No paper of its own; the weights are scikit-learn's.
    """
    return _kernel_logistic("kernel-logistic-cw", C, gamma, kernel, balanced=True)


def kernel_logistic_posthoc(
    *, tau: NonNegativeFloat = 1.0, C: PositiveFloat = 1.0, gamma: Gamma = "scale", kernel: Kernel = "rbf"
) -> Method:
    """Post-hoc logit adjustment of kernel logistic regression: its log-probabilities less the log prior.

    predict argmax log P(y | x) - tau log pi_y, P that of kernel-logistic; nothing is retrained.

    Menon et al. 2021, eq. 9; tau = 1 is the plug-in rule (plugin).

    Works: As kernel-logistic, for the balanced error: where its probabilities are exact, tau = 1 is the best rule.

    Breaks: Far from all rows f is the constant b and P the class shares, so tau = 1 decides by nothing there.

    Paper and code: The paper corrects networks; that of other classifiers is ours.
    """
    return adjusted(kernel_logistic(C=C, gamma=gamma, kernel=kernel), tau)


def kernel_logistic_threshold(
    *,
    objective: Goal = "balanced_accuracy",
    cost: Cost | None = None,
    positive: PositiveClass | None = None,
    C: PositiveFloat = 1.0,
    gamma: Gamma = "scale",
    kernel: Kernel = "rbf",
) -> Method:
    """Kernel logistic regression with thresholds moved by tau log pi, tau chosen on validation data.

    predict argmax log P(y | x) - tau log pi_y, P that of kernel-logistic; tau in [0, 3] the best for the objective on
    the validation part.

    Objective, cost and positive are those of ce-threshold.

    Works: As ce-threshold; the classifier serves every tau.

    Breaks: As ce-threshold: few validation rows of a class, which the classifier does not learn from either.

    Paper and code: Threshold moving (Zhou and Liu 2006) has costs that are given; the search for tau is ours.
    """
    return thresholded(kernel_logistic(C=C, gamma=gamma, kernel=kernel), objective, cost, positive)


def plugin(*, C: PositiveFloat = 1.0, gamma: Gamma = "scale", kernel: Kernel = "rbf") -> Method:
    """The plug-in rule: kernel logistic regression, decided at the share of the class in place of 1/2.

    predict argmax P(y | x) / p_y, P that of kernel-logistic and p_y = n_y / N; of two classes the second where P > p.

    Menon et al. 2013, algorithm 1. The same decisions as kernel-logistic-posthoc at tau = 1, eight years earlier.

    Works: For the balanced error: with more and more rows its regret goes to 0, since the loss is proper and sums of
    rbf kernels come near any function (their theorem on the plug-in rule).

    Breaks: With few rows of a class P is no good yet where P / p decides. The theorem prescribes how fast the penalty
    of a row falls; with C as it is, that is 1 / (2 C N).

    Paper and code: The paper has two classes; for several the ratio is that of Menon et al. 2021. No released code was
    compared.
    """
    plain = kernel_logistic(C=C, gamma=gamma, kernel=kernel)
    return replace(plain, posthoc=posthoc.PluginThreshold, prior=None, reference=cited("menon2013statistical"))


def _kernel_logistic(name: str, C: float, gamma: float | str, kernel: str, **options: Any) -> Method:
    width = gamma if isinstance(gamma, str) else float(gamma)
    make = partial(kernel_classifiers.kernel_logistic, C=C, gamma=width, kernel=kernel)
    text = f"{name}(C={float(C)},gamma={width},kernel={kernel})"
    misfit, reference = kernel_classifiers.kernel_logistic_misfit, cited("zhu2005kernel")
    return estimator(text, "kernel-logistic", make, misfit, reference, **options)
