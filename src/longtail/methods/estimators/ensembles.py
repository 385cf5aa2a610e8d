"""Ensembles whose members learn from balanced draws of the training rows.

imbalanced-learn's classes with its own defaults, and the self-paced ensemble. Every draw is made by the fit, from the
rows it is given. Saved are the members as scikit-learn's ensembles, without samplers, so that a model needs no
imbalanced-learn to predict; the probabilities are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.facts.imbalanced_learn import MISSING, imbalanced_learn, installed
from longtail.facts.knobs import PositiveFloat, Range
from longtail.methods.estimators.build import estimator
from longtail.methods.estimators.classifiers import Columns, dense_one_hot, size_misfit, without_weights

Members = Annotated[int, Range(1, 10_000, integer=True)]
Bins = Annotated[int, Range(1, 1000, integer=True)]


def balanced_forest(*, n_estimators: Members = 100) -> Method:
    """Balanced random forest (imbalanced-learn): every tree sees n_min rows of every class.

    P(y | x) = 1/T sum_t P_t(y | x), P_t the class shares in the leaf of tree t, grown on n_min rows drawn from each of
    the C classes with replacement, with the square root of the number of columns tried at each split.

    Chen et al. 2004. Codes are one-hot; columns of more than 255 codes count as numbers.

    Works: Any class sizes at the cost of the smallest: T C n_min rows in all; every tree draws other rows of the large
    classes.

    Breaks: With few rows of the rarest class every tree is small and knows little of the large classes. Its
    probabilities are for classes of equal size.

    Paper and code: The paper draws a bootstrap sample of the rare class, then as many rows of the other. It is
    imbalanced-learn's with its defaults since 0.13, where the draw with replacement takes the bootstrap's place.
    """
    knobs: dict[str, Any] = {"n_estimators": int(n_estimators)}
    return _ensemble("balanced-forest", "chen2004using", _forest, _plain_forest, plain_key="forest", **knobs)


def easy_ensemble(*, n_estimators: Members = 10) -> Method:
    """EasyEnsemble (imbalanced-learn): boosted stumps on balanced subsets, averaged.

    P(y | x) = 1/T sum_t softmax(F_t(x) / (C - 1))_y, F_t the score of AdaBoost with 50 stumps on n_min rows of every
    class, drawn without replacement.

    Liu et al. 2009. F_tj is the weighted share of stumps that vote for class j, less 1 / (C - 1) of the share that does
    not: the highest probability possible is 0.88 for two classes, 0.25 for five. Codes as in balanced-forest.

    Works: The smallest class has tens of rows or more; ten subsets lose less of the large classes than one.

    Breaks: Stumps hardly separate many classes. Its probabilities rank but are no estimates of frequencies: calibrate
    them. They are for classes of equal size.

    Paper and code: The paper sums the scores of all stumps; imbalanced-learn averages probabilities, with its defaults
    (10 of scikit-learn's AdaBoost).
    """
    return _ensemble("easy-ensemble", "liu2009exploratory", _easy, _plain_bagging, n_estimators=int(n_estimators))


def rusboost(*, n_estimators: Members = 50, learning_rate: PositiveFloat = 1.0) -> Method:
    """RUSBoost (imbalanced-learn): AdaBoost whose every stump is fitted to a new balanced subset.

    P(y | x) = softmax(F(x) / (C - 1))_y, F the weighted votes of the stumps; stump t has the weight learning_rate
    (log((1 - e_t) / e_t) + log(C - 1)), e_t its weighted error over all rows.

    Seiffert et al. 2010. Stump t sees n_min rows of every class with their boosting weights; wrong rows gain weight.
    F_j and the bounds of the probabilities are as in easy-ensemble, codes as in balanced-forest.

    Works: Two classes, and boundaries that stumps can add up.

    Breaks: The errors are over all rows, so that large classes count most for the weights. Where the first stump is no
    better than chance on them, the fit fails and says so. Its probabilities rank but are no estimates of frequencies.

    Paper and code: The paper has AdaBoost.M2; it is imbalanced-learn's SAMME with its defaults.
    """
    knobs: dict[str, Any] = {"n_estimators": int(n_estimators), "learning_rate": float(learning_rate)}
    return _ensemble("rusboost", "seiffert2010rusboost", _rusboost, _plain_boosting, **knobs)


def self_paced(*, n_estimators: Members = 50, bins: Bins = 5, replacement: bool = False) -> Method:
    """Self-paced ensemble: trees on balanced draws, easy rows of large classes at first, all hardnesses at the end.

    P(y | x) = 1/n sum_i P_i(y | x), tree i fitted to n_min rows of every class; those of a larger class come from bins
    of hardness h = |1 - F_i(x)_y| in proportion to 1 / (mean h + tan(pi i / (2 (n - 1)))), F_i the trees so far.

    Liu et al. 2020, algorithm 1. As `classical.SelfPacedEnsemble`, of decision trees; codes as in balanced-forest.

    Works: Large tables with overlap or wrong labels among the large classes, which random subsets miss or exaggerate.

    Breaks: As balanced-forest, n_min rows a class. Trees fit wrong labels of the smallest class, which is not cut. Its
    probabilities are for classes of equal size.

    Paper and code: The paper has two classes; several, 50 trees and 5 bins are those of imbens, the authors' package.
    That also draws with replacement, from the smallest class, too: replacement=True. A member of zeros in its mean of
    the trees so far is left out here.
    """
    knobs: dict[str, Any] = {"n_estimators": int(n_estimators), "bins": int(bins), "replacement": bool(replacement)}
    return _ensemble("self-paced", "liu2020self", _self_paced, None, needs_package=False, **knobs)


def _ensemble(
    key: str,
    reference: str,
    build: Callable[..., Any],
    plain: Callable[[Any], Any] | None,
    *,
    plain_key: str | None = None,
    needs_package: bool = True,
    **knobs: Any,
) -> Method:
    def make(columns: Columns, seed: int, targets: NDArray[np.int64]) -> Any:
        from sklearn.pipeline import make_pipeline

        ensemble, codes = build(random_state=seed, **knobs), dense_one_hot(columns, len(targets), others=True)
        return ensemble if codes is None else make_pipeline(codes, ensemble)

    def misfit(data: Part) -> str | None:
        return MISSING if needs_package and not installed() else size_misfit(data)

    return estimator(
        f"{key}({','.join(f'{name}={value}' for name, value in knobs.items())})",
        plain_key or key,
        make,
        without_weights(misfit),
        cited(reference),
        prior=uniform,
        keep=None if plain is None else partial(_with_last, change=plain),
    )


def _with_last(fitted: Any, change: Callable[[Any], Any]) -> Any:
    """Return a fitted ensemble changed, or a pipeline whose last step it is."""
    from sklearn.pipeline import Pipeline

    if not hasattr(fitted, "steps"):
        return change(fitted)
    *before, (name, last) = fitted.steps
    return Pipeline([*before, (name, change(last))])


def _forest(**options: Any) -> Any:
    return imbalanced_learn("ensemble").BalancedRandomForestClassifier(**options)


def _easy(**options: Any) -> Any:
    return imbalanced_learn("ensemble").EasyEnsembleClassifier(**options)


def _rusboost(**options: Any) -> Any:
    return imbalanced_learn("ensemble").RUSBoostClassifier(**options)


def _self_paced(**options: Any) -> Any:
    from longtail.classical.self_paced import SelfPacedEnsemble

    return SelfPacedEnsemble(**options)


def _plain_forest(fitted: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return _fitted(RandomForestClassifier(), fitted, "estimators_", "n_classes_", "n_outputs_")


def _plain_bagging(fitted: Any) -> Any:
    from sklearn.ensemble import BaggingClassifier

    found = _fitted(BaggingClassifier(), fitted, "estimators_features_", "n_classes_")
    found.estimators_ = [member.steps[-1][1] for member in fitted.estimators_]
    found.estimator_ = None
    return found


def _plain_boosting(fitted: Any) -> Any:
    from sklearn.ensemble import AdaBoostClassifier

    return _fitted(AdaBoostClassifier(), fitted, "estimators_", "estimator_weights_", "estimator_errors_", "n_classes_")


def _fitted(plain: Any, fitted: Any, *names: str) -> Any:
    """Return scikit-learn's ensemble with what a fit of imbalanced-learn's has found, and its number of members."""
    plain.set_params(n_estimators=fitted.n_estimators)
    for name in (*names, "classes_", "n_features_in_"):
        setattr(plain, name, getattr(fitted, name))
    return plain
