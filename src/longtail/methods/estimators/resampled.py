"""Logistic regression on resampled rows; its probabilities refer to the classes as resampled."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from longtail.catalogue.method import Method
from longtail.facts.knobs import Choice, PositiveFloat
from longtail.methods.estimators import classifiers
from longtail.methods.estimators.samplers import Neighbors, Ratio, Sampling, resampled

Kind = Annotated[str, Choice(("borderline-1", "borderline-2"))]
OVER, UNDER = 0.1, 0.5
"""Ratios of SMOTE with under-sampling: a tenth of the largest class, then half of it as it is left."""


def logistic_smote(*, ratio: Ratio = 1.0, k_neighbors: Neighbors = 5, C: PositiveFloat = 1.0) -> Method:
    """SMOTE under logistic regression: rare classes get new rows on lines between their own (imbalanced-learn).

    loss = sum_i -log softmax(W x_i + b)_(y_i) + ||W||^2 / (2 C) over the given rows and, for class j, max(0,
    floor(ratio n_max) - n_j) new ones x + u (x' - x), u ~ U(0, 1), x' one of the k nearest rows of the class of x.

    Chawla et al. 2002. Columns of categories take the commonest value of the neighbours (SMOTENC; SMOTEN where all
    are categories). Only the rows given to the fit are resampled, and numbers are scaled before distances.

    Works: Rare classes of tens of rows that fill their region, so that a line between two of them stays in the class.

    Breaks: In many dimensions or between two clusters of a class the new rows lie where it has none. A class of one
    row is refused; one of at most k rows has n_j - 1 neighbours. Its probabilities are for the classes as resampled.

    Paper and code: The paper has two classes and adds a percentage of the rare one; the ratio and each class by itself
    are imbalanced-learn's, where a class of at most k rows is an error.
    """
    sampling = Sampling("smote", over=ratio, k_neighbors=k_neighbors)
    return _logistic("logistic-smote", C, sampling, "chawla2002smote", ratio=ratio, k_neighbors=k_neighbors)


def logistic_borderline_smote(
    *,
    ratio: Ratio = 1.0,
    k_neighbors: Neighbors = 5,
    m_neighbors: Neighbors = 10,
    kind: Kind = "borderline-1",
    C: PositiveFloat = 1.0,
) -> Method:
    """Borderline SMOTE under logistic regression: new rows only beside rows of a class that are in danger.

    loss = sum_i -log softmax(W x_i + b)_(y_i) + ||W||^2 / (2 C) over the given rows and new ones x + u (x' - x) as in
    logistic-smote, x in danger: at least half of its m nearest rows are of other classes, but not all.

    Han et al. 2005. borderline-2 also takes neighbours x' of other classes, with u in (0, 1/2) towards these.

    Works: Classes that overlap at their border, where the rows decide on the boundary.

    Breaks: A row among others alone counts as noise, and rare classes have many such rows. A class without rows in
    danger is raised by plain SMOTE, with a warning. Columns of categories are refused.

    Paper and code: m = 10 is imbalanced-learn's. There and in the paper a class without rows in danger stays as it is;
    its probabilities would then be for other class sizes than the rest says.
    """
    sampling = Sampling(kind, over=ratio, k_neighbors=k_neighbors, m_neighbors=m_neighbors)
    knobs = {"ratio": ratio, "k_neighbors": k_neighbors, "m_neighbors": m_neighbors, "kind": kind}
    return _logistic("logistic-borderline-smote", C, sampling, "han2005borderline", **knobs)


def logistic_over(*, ratio: Ratio = 1.0, C: PositiveFloat = 1.0) -> Method:
    """Random over-sampling under logistic regression: rows of rare classes are repeated (imbalanced-learn).

    loss = sum_i -log softmax(W x_i + b)_(y_i) + ||W||^2 / (2 C) over the given rows and, for class j, max(0,
    floor(ratio n_max) - n_j) of its rows drawn again with replacement.

    As compared by Buda et al. 2018.

    Works: As logistic-cw. At ratio 1 the expected loss over the rows is C' n_max / N times that of logistic-cw, for C'
    classes, at the same penalty.

    Breaks: The single rows of a very rare class move the planes. Its probabilities are for the classes as resampled.

    Paper and code: The paper trains networks. It is imbalanced-learn's.
    """
    return _logistic("logistic-over", C, Sampling(over=ratio), "buda2018systematic", ratio=ratio)


def logistic_under(*, ratio: Ratio = 1.0, C: PositiveFloat = 1.0) -> Method:
    """Random under-sampling under logistic regression: rows of large classes are left out (imbalanced-learn).

    loss = sum_i -log softmax(W x_i + b)_(y_i) + ||W||^2 / (2 C) over min(n_j, floor(n_min / ratio)) rows of class j,
    drawn once without replacement.

    As compared by Buda et al. 2018. The ratio is that of the smallest to the largest class, 1 / that of under-rs.

    Works: The smallest class has hundreds of rows: the fit is short, and what is left out says little more.

    Breaks: With few rows of the rarest class nearly all data are thrown away; raise 1 / ratio, or take balanced-forest,
    which draws for every tree. Its probabilities are for the classes as resampled.

    Paper and code: The paper trains networks. It is imbalanced-learn's.
    """
    return _logistic("logistic-under", C, Sampling(under=ratio), "buda2018systematic", ratio=ratio)


def logistic_smote_under(
    *, over: Ratio = OVER, under: Ratio = UNDER, k_neighbors: Neighbors = 5, C: PositiveFloat = 1.0
) -> Method:
    """SMOTE with under-sampling, under logistic regression: rare classes are raised, then large ones are lowered.

    loss = sum_i -log softmax(W x_i + b)_(y_i) + ||W||^2 / (2 C) over m_j = min(n'_j, floor(n'_min / under)) rows of
    class j, n'_j = max(n_j, floor(over n_max)) rows after SMOTE as in logistic-smote.

    Chawla et al. 2002, who combine the two throughout.

    Works: As logistic-smote, with a tenth of the new rows at the defaults, and a fit on a fraction of the rows.

    Breaks: As logistic-smote. Rows of large classes are thrown away. Its probabilities are for the classes as
    resampled.

    Paper and code: Both amounts are knobs in the paper, too, in percent of the rare class. The defaults 0.1 and 0.5 are
    ours.
    """
    sampling = Sampling("smote", over=over, under=under, k_neighbors=k_neighbors)
    knobs = {"over": over, "under": under, "k_neighbors": k_neighbors}
    return _logistic("logistic-smote-under", C, sampling, "chawla2002smote", **knobs)


def _logistic(key: str, C: float, sampling: Sampling, reference: str, **knobs: Any) -> Method:
    make = partial(classifiers.logistic, C=C)
    return resampled(key, "logistic", make, classifiers.logistic_misfit, sampling, reference, **knobs, C=float(C))
