"""COG and COG-OS: large classes are cut into clusters, and any classifier learns these."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, has_fit_parameter, validate_data

from longtail.facts.knobs import Choice, Range
from longtail.facts.messages import quoted

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST = 10
"""Most clusters of a class by the rule."""
LEAST_ROWS = 5
"""Rows that the rule leaves to a cluster on average."""
STARTS = 10
"""Starts of k-means, of which the best counts."""


class LocalDecomposition(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """COG: k-means inside each large class, then a classifier of the clusters, whose answer is the cluster's class.

    P(y | x) = sum over the clusters k of class y of P(k | x)

    A linear classifier so gets a boundary of several pieces for a class that lies in several places; and the clusters
    of large classes are about as many rows as a rare class. COG-OS also copies the rows of rare classes.

    The paper decides the class of the most probable cluster, which is our default. The largest P(y | x) can be another
    class: three clusters of 0.2 lose to a rare class of 0.4 by the one and win by the other, 0.6 to 0.4. Where P is
    exact, the sums make fewer mistakes.

    Without code or defaults of the authors the number of clusters is ours. With class sizes n_i (sums of weights) and
    n_min the smallest, K(i) = max(1, min(round(n_i / n_min), `clusters`, floor(n_i / 5))); and r(j) =
    max(1, round(m / n_j)) copies of classes that stay whole, m the median size n_i / K(i) of the planned clusters of
    those that do not.

    Args:
        estimator: any classifier.
        clusters: most clusters of a class by the rule, of which 1 is the classifier itself; or class -> number of
            clusters, 1 for classes that are not named.
        oversample: None for COG; "auto" for COG-OS by the rule; or class -> number of times that its rows are taken.
        decide: what `predict` takes: "cluster", the class of the classifier's own answer, or "class", the largest sum.
        random_state: of k-means.

    Attributes:
        estimator_: the classifier of clusters 0, 1, ...
        parents_: for every cluster the position of its class in `classes_`.
        classes_: (C,) the classes.

    Raises:
        ValueError: an argument out of range, a class that has no rows, or no weights where rows have them.

    Reference: Wu, Xiong and Chen 2010, "COG: local decomposition for rare class analysis"; KDD 2007.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        clusters: int | Mapping[Any, int] = MOST,
        oversample: str | Mapping[Any, int] | None = None,
        decide: str = "cluster",
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.clusters = clusters
        self.oversample = oversample
        self.decide = decide
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Cut the large classes, copy rows of the rare ones, fit the classifier."""
        Choice(("cluster", "class")).check("decide", self.decide)
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        check_classification_targets(y)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        if weight is not None and not has_fit_parameter(self.estimator, "sample_weight"):
            raise ValueError(
                f"estimator must take sample_weight for rows with weights, got {type(self.estimator).__name__}; leave "
                "the weights out, or make LocalDecomposition the last step of the pipeline"
            )
        self.classes_, codes = np.unique(y, return_inverse=True)
        pieces, copies = self._planned(np.bincount(codes, weight).astype(np.float64))
        labels, self.parents_ = self._cut(X, codes, pieces, weight)
        rows = np.repeat(np.arange(len(codes)), copies[codes])
        arguments = {} if weight is None else {"sample_weight": weight[rows]}
        self.estimator_ = clone(self.estimator).fit(X[rows], labels[rows], **arguments)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the classes (N,) that are decided."""
        check_is_fitted(self)
        if self.decide == "class":
            decided = self.predict_proba(X).argmax(axis=1)
        else:
            decided = self.parents_[self.estimator_.predict(self._rows(X))]
        classes: NDArray[Any] = self.classes_[decided]
        return classes

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:
        """Return P(y | x), (N, C): the sums over the clusters of each class."""
        check_is_fitted(self)
        parts = self.estimator_.predict_proba(self._rows(X))
        sums = np.zeros((len(parts), len(self.classes_)))
        for cluster, parent in enumerate(self.parents_):
            sums[:, parent] += parts[:, cluster]
        return sums

    def _rows(self, X: Any) -> Any:
        return validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)

    def _planned(self, sizes: Floats) -> tuple[Ints, Ints]:
        """Return how many clusters each class gets, and how often its rows are taken."""
        by_rule = not isinstance(self.clusters, Mapping)
        pieces = planned_clusters(sizes, self.clusters) if by_rule else self._by_name("clusters", self.clusters)
        if isinstance(self.oversample, Mapping):
            return pieces, self._by_name("oversample", self.oversample)
        Choice(("auto",), optional=True).check("oversample", self.oversample)
        return pieces, planned_copies(sizes, pieces) if self.oversample else np.ones_like(pieces)

    def _by_name(self, name: str, given: Any) -> Ints:
        for key, number in given.items():
            Range(1, integer=True).check(f"{name}[{key!r}]", number)
            if key not in self.classes_:
                raise ValueError(f"{name} must name classes that have rows, got {quoted(key)}; correct the name")
        return np.array([given.get(name, 1) for name in self.classes_.tolist()], dtype=np.int64)

    def _cut(self, X: Any, codes: Ints, pieces: Ints, weight: Floats | None) -> tuple[Ints, Ints]:
        """Return the cluster of every row, numbered over all classes, and the class of every cluster."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        chance = check_random_state(self.random_state)
        labels = np.empty(len(codes), dtype=np.int64)
        parents: list[int] = []
        for code, number in enumerate(pieces):
            rows = np.flatnonzero(codes == code)
            inside = np.zeros(len(rows), dtype=np.int64)
            if number > 1:
                means = KMeans(min(int(number), len(rows)), n_init=STARTS, random_state=chance.randint(2**31 - 1))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)  # equal rows: fewer clusters than asked for
                    means.fit(X[rows], sample_weight=None if weight is None else weight[rows])
                inside = np.unique(means.labels_, return_inverse=True)[1]
            labels[rows] = len(parents) + inside
            parents += [code] * (int(inside.max()) + 1)
        return labels, np.array(parents)

    def __sklearn_tags__(self) -> Any:
        """Take sparse rows where the classifier does."""
        from sklearn.utils import get_tags

        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        return tags


def planned_clusters(sizes: Floats, most: Any) -> Ints:
    """Return max(1, min(round(n_i / n_min), most, floor(n_i / 5))) for class sizes (C,); 1 for empty classes."""
    Range(1, integer=True).check("clusters", most)
    smallest = sizes[sizes > 0].min()
    found: Ints = np.clip(np.round(sizes / smallest), 1, np.clip(sizes // LEAST_ROWS, 1, most)).astype(np.int64)
    return found


def planned_copies(sizes: Floats, pieces: Ints) -> Ints:
    """Return max(1, round(m / n_j)) for classes of one cluster, m the median n_i / K(i) of the others' clusters."""
    cut = pieces > 1
    if not cut.any():
        return np.ones_like(pieces)
    median = np.median(np.repeat(sizes[cut] / pieces[cut], pieces[cut]))
    times = np.round(median / np.where(sizes > 0, sizes, np.inf))
    copies: Ints = np.where(cut, 1, np.maximum(times, 1)).astype(np.int64)
    return copies
