"""Votes of neighbours, or other class shares, weighed by the sizes of the classes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted


class BalancedVotes(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose class shares are divided by the class sizes.

    P(y | x) = a_y / sum_j a_j, a_j = P'(j | x) / n_j, P' those of the classifier and n_j the training rows of class j.

    Over k nearest neighbours, each vote weighs 1 / n of its class. Its predictions are those of post-hoc logit
    adjustment at tau = 1 (Menon et al. 2021, eq. 9): log a_j = log P'(j | x) - log pi_j - log N. Classes can tie
    exactly, such as one vote of a class of one row with three of a class of three; rounding may then tell them apart.

    Args:
        estimator: a classifier with `predict_proba`; None means five nearest neighbours.

    Attributes:
        classes_: (C,) classes in order.
        class_counts_: (C,) training rows of each.
        estimator_: the classifier, fitted.
        n_features_in_: D.
    """

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the classifier to X (N, D) and classes y (N,)."""
        self.estimator_ = clone(KNeighborsClassifier() if self.estimator is None else self.estimator).fit(X, y)
        self.classes_ = self.estimator_.classes_
        self.n_features_in_ = self.estimator_.n_features_in_
        self.class_counts_ = (np.asarray(y).ravel()[:, None] == self.classes_).sum(axis=0)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities (N, C)."""
        check_is_fitted(self)
        votes = self.estimator_.predict_proba(X) / self.class_counts_
        shares: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of the largest probability (N,)."""
        predicted: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predicted
