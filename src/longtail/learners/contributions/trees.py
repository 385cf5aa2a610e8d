"""What each column adds to the scores of gradient-boosted trees: path-dependent Shapley values."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longtail.learners.contributions.paths import Paths, paths
from longtail.learners.contributions.sources import transformed
from longtail.learners.fitted import last_step

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class TreeContributions:
    """Shapley values of the score of boosted trees, where columns that are not known are averaged along the paths.

    v(S) of a row: walk each tree; at a split of a column in S go the row's way, at another go both ways, weighted by
    the shares of training rows that did. phi_d is the mean of v(S + d) - v(S) over all orders of the columns. Exact:
    every leaf is a product of its columns (`functional.product_shapley`).

    Lundberg et al. 2020, algorithms 1 and 2 (the same values by another computation).

    Args:
        estimator: a fitted HistGradientBoostingClassifier, or a pipeline that ends in one.
        players: (D,) the player of each column of the last step.
        size: P.

    Raises:
        ValueError: a tree with a node that no training row reached.
    """

    def __init__(self, estimator: Any, players: Ints, size: int) -> None:
        self.estimator, self.last, self.size = estimator, last_step(estimator), size
        kinds = getattr(self.last, "is_categorical_", None)
        # scikit-learn moves categories before numbers
        self.players = players if kinds is None else players[np.argsort(~np.asarray(kinds, dtype=bool), kind="stable")]

    @cached_property
    def trees(self) -> list[list[Paths]]:
        """For each of the K scores its trees."""
        known = self.last._bin_mapper.make_known_categories_bitsets()
        return [
            [paths(iteration[k], self.players, known) for iteration in self.last._predictors]
            for k in range(len(self.last._predictors[0]))
        ]

    @cached_property
    def expected(self) -> Floats:
        """(K,) the mean scores over the rows that the trees were grown on, each counted once."""
        sums = [sum(tree.expected for tree in trees) for trees in self.trees]
        return np.asarray(self.last._baseline_prediction[0] + np.array(sums), dtype=np.float64)

    def __call__(self, x: Floats, score: int) -> Floats:
        """Return the contributions (N, P) to a score for rows (N, D)."""
        rows = self._rows(x)
        out = torch.zeros(self.size, len(rows), dtype=torch.float64)
        for tree in self.trees[score]:
            tree.add_contributions(rows, out)
        return np.ascontiguousarray(out.numpy().T)

    def scores(self, x: Floats) -> Floats:
        """Return the scores (N, K), as scikit-learn has them."""
        return np.asarray(self.last._raw_predict(transformed(self.estimator, x), n_threads=1), dtype=np.float64)

    def _rows(self, x: Floats) -> Floats:
        """Return rows as the trees read them."""
        return np.asarray(self.last._preprocess_X(transformed(self.estimator, x), reset=False), dtype=np.float64)
