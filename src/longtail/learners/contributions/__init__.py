"""Which columns moved the score of a fitted scikit-learn classifier, and by how much: exact Shapley values.

Scores are the classifier's own, before any post-hoc rule, calibration or decision: P(class) = softmax(scores), and of
two classes the log-odds, log P(second) - log P(first).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from longtail.learners.contributions.linear import LinearContributions, remember_means
from longtail.learners.contributions.sources import sources
from longtail.learners.contributions.trees import TreeContributions
from longtail.learners.fitted import last_step

__all__ = ["Contributions", "LinearContributions", "TreeContributions", "contributions_of", "remember_means"]

_KINDS: dict[str, Callable[[Any, NDArray[np.int64], int], Contributions]] = {
    "LogisticRegression": LinearContributions,
    "HistGradientBoostingClassifier": TreeContributions,
}


class Contributions(Protocol):
    """The contributions of P players to the K scores of a classifier: K = 1 for two classes, else one per class."""

    @property
    def expected(self) -> NDArray[np.float64]:
        """(K,) the scores that contributions are counted from."""
        ...

    def __call__(self, x: NDArray[np.float64], score: int) -> NDArray[np.float64]:
        """Contributions (N, P) to a score for rows (N, D); they sum to the score less the expected one."""
        ...

    def scores(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores (N, K)."""
        ...


def contributions_of(estimator: Any, players: NDArray[np.int64], size: int) -> Contributions | None:
    """Return the contributions of a fitted classifier's inputs; None where it is of another kind.

    Args:
        estimator: logistic regression, or histogram gradient boosting, alone or after steps whose columns each come
            from one input: scaling, indicators of categories; steps that resample rows are passed over.
        players: (D,) which of P players each input belongs to.
        size: P.

    Raises:
        ValueError: a model of these kinds that cannot be explained, and why.
    """
    kind, source = _KINDS.get(type(last_step(estimator)).__name__), sources(estimator, len(players))
    return None if kind is None or source is None else kind(estimator, players[source], size)
