"""What a classifier of the user's must be: a classifier with probabilities, whose parameters scikit-learn accepts."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.facts.messages import quoted
from longtail.learners.estimator import fit_arguments
from longtail.learners.fitted import last_step, probabilities
from longtail.learners.given_fit import fit_given, without_place
from longtail.methods.given.fitting import seeded_copy, takes_weights
from longtail.methods.given.identity import is_estimator, nested

SAMPLE = 256
"""Rows of a trial fit, at most, but for one of every class."""
CALIBRATED = "sklearn.calibration.CalibratedClassifierCV(classifier) has probabilities"


def looks_like_one(value: Any) -> bool:
    """Whether a value was meant as a classifier: an estimator, fitted or not, or a class of them."""
    return callable(getattr(value, "fit", None)) and not isinstance(value, str)


def check(value: Any) -> None:
    """Check that it is a classifier with probabilities, and its parameters where scikit-learn declares them.

    Raises:
        TypeError: a class in place of an instance, or no estimator.
        ValueError: no classifier, no probabilities, a parameter with a value that it does not know.
    """
    if isinstance(value, type):
        raise TypeError(f"a classifier must be an instance, got the class {value.__name__}; write {value.__name__}()")
    kind = type(value).__name__
    if not (is_estimator(value) and hasattr(value, "set_params")):
        raise TypeError(
            f"a classifier must have get_params and set_params, as scikit-learn's have, got {kind}; derive it from "
            "sklearn.base.ClassifierMixin and BaseEstimator"
        )
    what = kind_of(value)
    if what not in (None, "classifier"):
        raise ValueError(f"a method must be a classifier, got {kind}, which is a {what}; name a classifier")
    for one in nested(value):
        _check_declared(one)
    if not hasattr(value, "predict_proba"):
        raise ValueError(f"a classifier must have predict_proba, got {kind}, which has none; {CALIBRATED}")


def cloned(value: Any) -> Any:
    """Return an unfitted copy.

    Raises:
        ValueError: its constructor changes a parameter, so that copies would differ.
    """
    from sklearn.base import clone

    try:
        return clone(value)
    except Exception as error:  # whatever a constructor raises
        raise ValueError(
            f"{type(value).__name__} cannot be copied ({_line(error)}); its constructor must keep its "
            "parameters as they are"
        ) from None


def kind_of(value: Any) -> str | None:
    """Return "classifier", "regressor", ...: what an estimator says it is, or None."""
    try:
        from sklearn.utils import get_tags

        found = get_tags(value).estimator_type
    except Exception:  # estimators that only look like scikit-learn's have no tags
        found = getattr(value, "_estimator_type", None)
    return None if found is None else str(found)


def _check_declared(one: Any) -> None:
    """Raise ValueError for a value that scikit-learn's own declaration of the parameters excludes."""
    if not hasattr(type(one), "_parameter_constraints") or not hasattr(one, "_validate_params"):
        return
    try:
        one._validate_params()
    except ValueError as error:  # InvalidParameterError
        raise ValueError(f"{type(one).__name__}: {_line(error)}; correct it") from None


def trial(estimator: Any, x: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float64] | None) -> Any:
    """Fit a copy to some rows and return it, to hear of a mistake before the long work.

    A fit that fails on these rows is made on all: only what fails there is refused.

    Raises:
        ValueError: it fails on all rows, too, or its probabilities are none.
    """
    rows = _some_rows(y)
    try:
        return _tried(estimator, x[rows], y[rows], None if weight is None else weight[rows])
    except Exception as error:  # whatever the code of another package raises
        if len(rows) == len(y):
            raise ValueError(_failed(estimator, error)) from None
    try:
        return _tried(estimator, x, y, weight)
    except Exception as error:
        raise ValueError(_failed(estimator, error)) from None


def refuses_weights(estimator: Any) -> str | None:
    """Return why it cannot learn from rows with sample weights, or None."""
    if takes_weights(estimator):
        return None
    last = last_step(estimator)
    signature = inspect.signature(last.fit)
    return (
        f"cannot weigh rows ({type(last).__name__}.fit{signature} has no sample_weight), got sample weights; leave out "
        "the weights, or this classifier"
    )


def _tried(estimator: Any, x: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float64] | None) -> Any:
    made = seeded_copy(estimator, 0, threads=1)
    made, _ = fit_given(made, x, y, fit_arguments(made, weight, None), seed=0, told=False)
    probabilities(made, x[: min(len(x), 64)])
    return made


def _some_rows(y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return up to `SAMPLE` rows, evenly over the classes as far as these have any."""
    each = max(1, SAMPLE // max(len(np.unique(y)), 1))
    return np.sort(np.concatenate([np.flatnonzero(y == k)[:each] for k in np.unique(y)]))


def _failed(estimator: Any, error: Exception) -> str:
    return f"cannot learn from these rows ({type(estimator).__name__}: {_line(error)}); correct it or leave it out"


def _line(error: Exception) -> str:
    text = " ".join(without_place(str(error).partition("Stack trace")[0]).split())[:300]
    return text.rstrip(" .") or quoted(type(error).__name__)
