"""What each column adds to the scores of logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.learners.contributions.sources import sources, transformed
from longtail.learners.fitted import last_step

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
VALUES = 1 << 22
"""Rows x columns of the last step at once: categories may have thousands of columns."""
MEANS = "training_means_"
"""Attribute of a LogisticRegression: the means of its columns over the training rows."""


def remember_means(estimator: Any, x: Floats, weight: Floats | None) -> None:
    """Keep the means of the training rows in a fitted logistic regression, from which contributions are counted.

    Args:
        estimator: of another kind, it stays as it is.
        x: (N, D) the training rows, before anything resampled them.
        weight: (N,) how many rows each one counts as, or None.
    """
    last = last_step(estimator)
    if type(last).__name__ == "LogisticRegression" and sources(estimator, x.shape[1]) is not None:
        share = np.full(len(x), 1 / len(x)) if weight is None else weight / weight.sum()
        setattr(last, MEANS, np.asarray(transformed(estimator, x).T @ share, dtype=np.float64))


class LinearContributions:
    """Of score_k = w_k x + b_k column d contributes w_kd (x_d - mean_d), the mean over the training rows.

    These are the Shapley values of the score where the columns are drawn independently of each other (Lundberg and Lee
    2017, corollary 1). Columns of one player are added up.

    Args:
        estimator: a fitted pipeline that ends in logistic regression.
        players: (D',) the player of each column of the last step.
        size: P.

    Raises:
        ValueError: a model that was trained before means were kept.
    """

    def __init__(self, estimator: Any, players: Ints, size: int) -> None:
        last = last_step(estimator)
        means = getattr(last, MEANS, None)
        if means is None or np.shape(means) != (len(players),):
            raise ValueError(
                "this model was trained before its training means were kept, from which contributions are counted; "
                "train it again in a new folder"
            )
        self.estimator, self.players, self.size = estimator, players, size
        self.means, self.weights = np.asarray(means, dtype=np.float64), last.coef_
        self.expected: Floats = self.weights @ self.means + last.intercept_
        """(K,) the mean scores over the training rows."""

    def __call__(self, x: Floats, score: int) -> Floats:
        """Return the contributions (N, P) to a score for rows (N, D)."""
        out = np.zeros((len(x), self.size))
        size = max(1, VALUES // max(len(self.players), 1))
        for start in range(0, len(x), size):
            block = transformed(self.estimator, x[start : start + size])
            block = block.toarray() if hasattr(block, "toarray") else block
            each = np.zeros((self.size, len(block)))
            np.add.at(each, self.players, (self.weights[score] * (block - self.means)).T)
            out[start : start + size] = each.T
        return out

    def scores(self, x: Floats) -> Floats:
        """Return the scores (N, K)."""
        return np.asarray(transformed(self.estimator, x) @ self.weights.T + last_step(self.estimator).intercept_)
