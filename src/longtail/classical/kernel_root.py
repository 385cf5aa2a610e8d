"""The root of a kernel matrix as features: a linear classifier on them is a kernel machine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics.pairwise import linear_kernel, polynomial_kernel, rbf_kernel
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from longtail.facts.kernel_arguments import KERNELS, WIDTH
from longtail.facts.knobs import Choice, Range

Floats = NDArray[np.float64]

EXACT = 2000
"""Most rows whose whole kernel matrix is taken."""
LANDMARKS = 500
"""Landmarks beyond that."""


class KernelRoot(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features whose inner products are a kernel, so that ridge there is the norm of the kernel's space.

    phi(x) = k(x, X) K^(-1/2), K = k(X, X) of the training rows X, whose own features are K^(1/2).

    f(x) = sum_i a_i k(x, x_i) is w . phi(x) with w = K^(1/2) a, and ||w||^2 = a' K a = ||f||^2: logistic regression on
    these features is kernel logistic regression, by the representer theorem the exact one (Kimeldorf and Wahba 1971).
    K^(-1/2) is the pseudo-inverse of the root: eigenvalues up to N eps times the largest, eps = 2^-52, count as 0.

    Beyond `exact` rows K is that of landmarks, rows drawn at random, and the inner products are the kernel's projection
    on their span (Nystroem: Williams and Seeger 2001). With labels the landmarks are drawn from all classes in equal
    numbers, as far as these have rows: of a draw from all rows a rare class would have few or none. That is a
    safeguard: on rings with shares of 90, 9 and 1 % the balanced accuracy was within 0.2 points by either way
    (`python -m benchmarks.kernels`).

    The time for eigenvalues grows with the cube of the rows, and the root of 2,000 rows is 2,000 x 2,000 numbers of 8
    bytes, 32 MB of a saved model, which is why `exact` is no larger.

    Args:
        kernel: "rbf", exp(-gamma ||x - x'||^2); "linear", x . x'; or "poly", (gamma x . x' + coef0)^degree.
        gamma: > 0; "scale" is 1 / (D var(X)) of the training rows, "auto" 1 / D, both as in `SVC`.
        degree, coef0: of the polynomial; >= 0, so that it is a kernel.
        exact: most rows whose whole kernel matrix is taken.
        landmarks: number of landmarks beyond them.
        random_state: of their draw.

    Attributes:
        rows_: (M, D) the training rows or landmarks.
        root_: (M, M) pseudo-inverse of the root of their kernel matrix.
        gamma_: the number that gamma stands for.
    """

    def __init__(
        self,
        *,
        kernel: str = "rbf",
        gamma: float | str = "scale",
        degree: int = 3,
        coef0: float = 0.0,
        exact: int = EXACT,
        landmarks: int = LANDMARKS,
        random_state: Any = None,
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.exact = exact
        self.landmarks = landmarks
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Take the root of the kernel matrix of the rows, or of landmarks drawn from the classes y (N,) alike."""
        self._check()
        x = validate_data(self, X, dtype=np.float64)
        self.gamma_ = self._width(x)
        self.rows_ = x if len(x) <= self.exact else x[self._drawn(len(x), y)]
        self.root_ = inverse_root(self._kernel(self.rows_))
        self._n_features_out = len(self.rows_)
        return self

    def transform(self, X: Any) -> Floats:
        """Return features (N, M)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        features: Floats = self._kernel(x) @ self.root_
        return features

    def _check(self) -> None:
        Choice(KERNELS).check("kernel", self.kernel)
        WIDTH.check("gamma", self.gamma)
        Range(1, integer=True).check("degree", self.degree)
        Range(0, open_high=True).check("coef0", self.coef0)
        Range(0, integer=True).check("exact", self.exact)
        Range(1, integer=True).check("landmarks", self.landmarks)

    def _width(self, x: Floats) -> float:
        if not isinstance(self.gamma, str):
            return float(self.gamma)
        spread = float(x.var()) if self.gamma == "scale" else 1.0
        return 1.0 / (x.shape[1] * spread) if spread > 0 else 1.0

    def _drawn(self, size: int, y: Any) -> NDArray[np.int64]:
        """Return the sorted rows of the landmarks: the first of each class in a random order, then the second."""
        order = check_random_state(self.random_state).permutation(size)
        if y is not None:
            _, classes = np.unique(np.asarray(y), return_inverse=True)
            by_class = np.argsort(classes[order], kind="stable")
            sizes = np.bincount(classes)
            rank = np.empty(size, dtype=np.int64)
            rank[by_class] = np.arange(size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            order = order[np.argsort(rank, kind="stable")]
        return np.sort(order[: self.landmarks])

    def _kernel(self, x: Floats) -> Floats:
        if self.kernel == "linear":
            return linear_kernel(x, self.rows_)  # type: ignore[no-any-return]
        if self.kernel == "poly":
            return polynomial_kernel(x, self.rows_, self.degree, self.gamma_, self.coef0)  # type: ignore[no-any-return]
        return rbf_kernel(x, self.rows_, self.gamma_)  # type: ignore[no-any-return]


def inverse_root(kernel: Floats) -> Floats:
    """Return the pseudo-inverse of the root of a symmetric matrix (M, M) without negative eigenvalues."""
    from scipy.linalg import eigh

    values, vectors = eigh(kernel)
    kept = values > len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    root: Floats = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    return root
