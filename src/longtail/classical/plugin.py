"""The plug-in rule with the empirical threshold, over any classifier with probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, has_fit_parameter, validate_data

from longtail.facts.messages import quoted

Floats = NDArray[np.float64]


class PlugInClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Decides by a classifier's probabilities over the shares of the classes in its training rows.

    predict argmax_y eta_y(x) / p_y, eta the classifier's probabilities and p_y the share of class y, by weight where
    rows have weights. Of two classes this is the second where eta > p, its own share, in place of 1/2.

    Whatever makes eta consistent, as a proper loss does, makes the rule consistent for the balanced error: no other
    threshold on eta is right for every distribution. `predict_proba` stays eta, the probabilities of the training
    shares, as scikit-learn's own classifiers with a moved threshold keep theirs; so its largest is not always what
    `predict` decides.

    Args:
        estimator: a classifier with `predict_proba`, of rows as they are: with class_weight its probabilities are not
            those of the training shares, and the rule would correct them twice.

    Attributes:
        estimator_: the fitted classifier.
        classes_: (C,) the classes.
        shares_: (C,) p.

    Raises:
        ValueError: an estimator without predict_proba or with class_weight, or one that takes no weights with weights.

    Reference: Menon, Narasimhan, Agarwal and Chawla 2013, "On the Statistical Consistency of Algorithms for Binary
    Classification under Class Imbalance", algorithm 1.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the classifier and take the shares of the classes."""
        self._check(sample_weight)
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=None, ensure_all_finite=False)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        weight = np.ones(len(y)) if sample_weight is None else _check_sample_weight(sample_weight, X)
        self.shares_: Floats = np.bincount(codes, weight) / weight.sum()
        empty = self.classes_[self.shares_ == 0].tolist()
        if empty:
            raise ValueError(f"every class must have weight, got 0 for class {quoted(empty[0])}; leave out its rows")
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(X, y, **({} if sample_weight is None else {"sample_weight": weight}))
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Return eta (N, C), the classifier's own probabilities."""
        check_is_fitted(self)
        probabilities: Floats = self.estimator_.predict_proba(self._rows(X))
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the classes (N,) that the rule decides."""
        likelier = self.predict_proba(X) / self.shares_
        decided: NDArray[Any] = self.classes_[likelier.argmax(axis=1)]
        return decided

    def _rows(self, X: Any) -> Any:
        return validate_data(self, X, accept_sparse="csr", dtype=None, ensure_all_finite=False, reset=False)

    def _check(self, sample_weight: Any) -> None:
        name = type(self.estimator).__name__
        if not hasattr(self.estimator, "predict_proba"):
            raise ValueError(
                f"estimator must have predict_proba, got {name} without; wrap it in CalibratedClassifierCV"
            )
        settings = self.estimator.get_params()
        for key in settings:
            if key.split("__")[-1] == "class_weight" and settings[key] is not None:
                raise ValueError(
                    f"{key} of the estimator must be None, since the shares are taken off afterwards, got "
                    f"{quoted(settings[key])}; leave it out"
                )
        if sample_weight is not None and not has_fit_parameter(self.estimator, "sample_weight"):
            raise ValueError(
                f"estimator must take sample_weight for rows with weights, got {name}; leave the weights out, or make "
                "PlugInClassifier the last step of the pipeline"
            )

    def __sklearn_tags__(self) -> Any:
        """Take sparse and missing values where the classifier does."""
        from sklearn.utils import get_tags

        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        return tags
