"""A self-paced ensemble: each tree sees all rows of the smallest class and rows of the others chosen by hardness."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

MOST_SEED = np.iinfo(np.int32).max
Rows = NDArray[np.int64]


class SelfPacedEnsemble(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Self-paced under-sampling ensemble (Liu et al. 2020, algorithm 1), for any number of classes.

    Member i of n is fitted to n_min rows of every class, n_min those of the smallest. Member 0 draws them at random.
    For member i the rows of each larger class are cut into k bins of equal width between their least and their greatest
    hardness h = |1 - F_i(x)_y|, F_i the mean probability of the members so far. Bin l gives a share of the rows
    proportional to

        w_l = 1 / (mean h of the bin + alpha_i), alpha_i = tan(pi i / (2 (n - 1))),

    so that easy rows are preferred at first and all bins count alike at the end; empty bins have w_l = 0. The shares
    n_min w_l / sum w are cut to integers, and the rest goes one by one to the bins, the fullest first. Where all rows
    are equally hard the draw is random. P(y | x) is the mean of the members' probabilities; they are those of classes
    of equal size.

    The paper has two classes and keeps the smaller as it is; several are as in imbens, the authors' package. There the
    rows are drawn with replacement, those of the smallest class, too, which `replacement=True` gives; by default, as in
    the code of the paper, a row is used at most once by a member, and a bin whose rows are used up leaves its share to
    others. In imbens the mean of the members contains a member of zeros; here, as in the paper, it does not.

    Args:
        estimator: a classifier with `predict_proba`; None means a decision tree.
        n_estimators: n; 50 as in imbens.
        bins: k; 5 as in imbens.
        replacement: whether members draw with replacement.
        random_state: a seed, a RandomState or None.

    Attributes:
        classes_: (C,) classes in order.
        estimators_: the members, fitted on class indices.
        n_features_in_: D.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 50,
        bins: int = 5,
        replacement: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.bins = bins
        self.replacement = replacement
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the members one after another.

        Args:
            X: (N, D) numbers, dense or CSR.
            y: (N,) classes.

        Raises:
            ValueError: n_estimators or bins below 1.
        """
        for name in ("n_estimators", "bins"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be >= 1, got {value}; choose a value in that range")
        X, y = validate_data(self, X, y, accept_sparse="csr")
        check_classification_targets(y)
        self.classes_, targets = np.unique(y, return_inverse=True)
        random = check_random_state(self.random_state)
        total = np.zeros((len(targets), len(self.classes_)))
        self.estimators_: list[Any] = []
        for i in range(self.n_estimators):
            own = (total / i)[np.arange(len(targets)), targets] if i else np.zeros(len(targets))
            chosen = self._chosen(np.abs(1 - own), targets, i, random)
            member = clone(DecisionTreeClassifier() if self.estimator is None else self.estimator)
            if "random_state" in member.get_params():
                member.set_params(random_state=random.randint(MOST_SEED))
            member.fit(X[chosen], targets[chosen])
            self.estimators_.append(member)
            if i + 1 < self.n_estimators:
                total += member.predict_proba(X)
        return self

    def _chosen(self, hardness: NDArray[np.float64], targets: Rows, i: int, random: Any) -> Rows:
        """Return the rows that member i is fitted to, class by class."""
        fewest = int(np.bincount(targets).min())
        alpha = math.tan(math.pi / 2 * i / max(self.n_estimators - 1, 1))
        found = []
        for label in range(len(self.classes_)):
            rows = np.flatnonzero(targets == label)
            if len(rows) > fewest and i and np.ptp(hardness[rows]) > 0:
                found.append(self._by_hardness(rows, hardness[rows], fewest, alpha, random))
            elif len(rows) > fewest or self.replacement:
                found.append(random.choice(rows, fewest, replace=self.replacement))
            else:
                found.append(rows)
        return np.concatenate(found)

    def _by_hardness(self, rows: Rows, hardness: NDArray[np.float64], total: int, alpha: float, random: Any) -> Rows:
        """Draw rows of one class, from each bin of hardness its share."""
        least, width = hardness.min(), np.ptp(hardness) / self.bins
        places = np.minimum(((hardness - least) / width).astype(np.int64), self.bins - 1)
        sizes = np.bincount(places, minlength=self.bins)
        means = np.bincount(places, weights=hardness, minlength=self.bins) / np.maximum(sizes, 1)
        counts = draws_by_bin(sizes, means, alpha, total, replacement=self.replacement)
        return np.concatenate(
            [
                random.choice(rows[places == place], count, replace=self.replacement)
                for place, count in enumerate(counts)
                if count
            ]
        )

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return (N, C) the mean of the members' probabilities."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        mean: NDArray[np.float64] = sum(member.predict_proba(X) for member in self.estimators_) / len(self.estimators_)
        return mean

    def predict(self, X: Any) -> NDArray[Any]:
        """Return (N,) the classes of the highest probability."""
        found = self.predict_proba(X)
        classes: NDArray[Any] = self.classes_[found.argmax(1)]
        return classes


def draws_by_bin(
    sizes: Rows, hardness: NDArray[np.float64], alpha: float, total: int, *, replacement: bool = False
) -> Rows:
    """Return (k,) how many rows of each bin a member draws.

    Args:
        sizes: (k,) rows of each bin; without replacement more than `total` in all.
        hardness: (k,) mean hardness of the rows of each bin.
        alpha: the self-paced factor.
        total: rows to draw.
        replacement: whether a row can be drawn twice.
    """
    weight = np.where(sizes > 0, 1 / (hardness + alpha), 0.0)
    counts: Rows = (total * weight / weight.sum()).astype(np.int64)
    room = np.where(sizes > 0, total, 0) if replacement else sizes
    counts = np.minimum(counts, room)
    fullest_first = np.argsort(-sizes, kind="stable")
    while (missing := total - int(counts.sum())) > 0:
        with_room = fullest_first[(counts < room)[fullest_first]]
        counts[with_room[:missing]] += 1
    return counts
