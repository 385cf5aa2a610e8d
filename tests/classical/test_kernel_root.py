"""The root of a kernel: its inner products are the kernel, and ridge on it is the norm of the kernel's space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from longtail.classical import KernelRoot

G = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], (24, 9, 5))
X = G.normal(size=(38, 3)) + Y[:, None] * np.array([1.0, -0.5, 0.2])
NEW = G.normal(size=(7, 3))


def by_hand(kernel: str, a: Any, b: Any, gamma: float, degree: int = 3, coef0: float = 0.0) -> Any:
    """Kernel values in plain loops."""
    table = np.empty((len(a), len(b)))
    for i, u in enumerate(a.tolist()):
        for j, v in enumerate(b.tolist()):
            dot = math.fsum(p * q for p, q in zip(u, v, strict=True))
            apart = math.fsum((p - q) ** 2 for p, q in zip(u, v, strict=True))
            values = {"rbf": math.exp(-gamma * apart), "linear": dot, "poly": (gamma * dot + coef0) ** degree}
            table[i, j] = values[kernel]
    return table


def dual(kernel: Any, y: Any, C: float) -> tuple[Any, Any]:
    """Minimise sum_i -log softmax(K a + b)_(y_i) + sum_j a_j' K a_j / (2 C) in a and b by a generic optimiser."""
    n, classes = len(y), int(y.max()) + 1
    targets = np.eye(classes)[y]

    def objective(flat: Any) -> tuple[float, Any]:
        a, b = flat[: n * classes].reshape(n, classes), flat[n * classes :]
        f = kernel @ a + b
        top = f.max(1, keepdims=True)
        logs = f - top - np.log(np.exp(f - top).sum(1, keepdims=True))
        value = -(targets * logs).sum() + np.einsum("ij,ik,kj->", a, kernel, a) / (2 * C)
        error = np.exp(logs) - targets
        return value, np.r_[(kernel @ (error + a / C)).ravel(), error.sum(0)]

    found = minimize(
        objective, np.zeros(n * classes + classes), jac=True, method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 40_000, "ftol": 0, "gtol": 1e-9},
    )  # fmt: skip
    return found.x[: n * classes].reshape(n, classes), found.x[n * classes :]


KERNELS: list[dict[str, Any]] = [
    {"kernel": "rbf"},
    {"kernel": "rbf", "gamma": 0.7},
    {"kernel": "linear"},
    {"kernel": "poly", "gamma": "auto", "degree": 2, "coef0": 1.0},
]


def gamma_of(arguments: dict[str, Any]) -> float:
    mean = math.fsum(X.ravel().tolist()) / X.size
    var = math.fsum((v - mean) ** 2 for v in X.ravel().tolist()) / X.size
    given = arguments.get("gamma", "scale")
    return float({"scale": 1 / (3 * var), "auto": 1 / 3}[given] if isinstance(given, str) else given)


@pytest.mark.parametrize("arguments", KERNELS, ids=str)
class TestExact:
    def test_inner_products_are_the_kernel(self, arguments: dict[str, Any]) -> None:
        root = KernelRoot(**arguments)
        rows, new = root.fit_transform(X), root.transform(NEW)
        rest = {key: value for key, value in arguments.items() if key not in ("gamma", "kernel")}
        expected = by_hand(arguments["kernel"], X, X, gamma_of(arguments), **rest)
        np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-9)
        np.testing.assert_allclose(
            new @ rows.T, by_hand(arguments["kernel"], NEW, X, gamma_of(arguments), **rest), atol=1e-7
        )
        # of its own rows it is the symmetric root
        np.testing.assert_allclose(rows, rows.T, atol=1e-7)
        assert np.linalg.eigvalsh(rows).min() > -1e-7

    def test_logistic_regression_on_it_is_kernel_logistic_regression(self, arguments: dict[str, Any]) -> None:
        root = KernelRoot(**arguments)
        rows = root.fit_transform(X)
        found = LogisticRegression(C=0.8, tol=1e-10, max_iter=10_000).fit(rows, Y)
        kernel = rows @ rows.T  # which the test above compares with loops
        a, b = dual(kernel, Y, 0.8)
        for features in (rows, root.transform(NEW)):
            f = features @ rows.T @ a + b
            expected = np.exp(f - f.max(1, keepdims=True))
            expected /= expected.sum(1, keepdims=True)
            np.testing.assert_allclose(found.predict_proba(features), expected, atol=2e-5)
        norm = np.einsum("ij,ik,kj->j", a, kernel, a)
        np.testing.assert_allclose((found.coef_**2).sum(1), norm, rtol=1e-3)


def test_equal_rows_and_rows_of_zeros_have_a_pseudo_inverse() -> None:
    twice = np.repeat(X, 2, axis=0)
    root = KernelRoot(gamma=0.5).fit(twice)
    assert np.linalg.matrix_rank(root.root_) <= len(X)
    np.testing.assert_allclose(
        root.transform(NEW) @ root.transform(twice).T, by_hand("rbf", NEW, twice, 0.5), atol=1e-7
    )
    assert not KernelRoot(kernel="linear").fit_transform(np.zeros((4, 2))).any()


class TestLandmarks:
    def test_are_scikit_learns_nystroem_on_the_same_rows(self) -> None:
        root = KernelRoot(gamma=0.3, exact=20, landmarks=12, random_state=0).fit(X, Y)
        assert root.rows_.shape == (12, 3)
        other = Nystroem(gamma=0.3, n_components=12).fit(root.rows_)
        found, expected = root.transform(NEW), other.transform(NEW)
        np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-7)

    def test_come_from_all_classes_alike_and_from_the_seed(self) -> None:
        def classes(seed: int, y: Any, landmarks: int = 12) -> list[int]:
            root = KernelRoot(exact=20, landmarks=landmarks, random_state=seed).fit(X, y)
            rows = [int(np.flatnonzero((row == X).all(1))[0]) for row in root.rows_]
            assert rows == sorted(set(rows))
            return rows

        assert np.bincount(Y[classes(0, Y)]).tolist() == [4, 4, 4]
        assert sorted(np.bincount(Y[classes(0, Y, 20)]).tolist()) == [5, 7, 8]
        assert classes(0, Y) == classes(0, Y)
        assert classes(0, Y) != classes(1, Y)
        assert len(classes(0, None)) == 12
        assert len(classes(0, Y, 500)) == len(X)

    def test_all_rows_as_landmarks_are_exact(self) -> None:
        whole, chosen = KernelRoot(), KernelRoot(exact=20)
        np.testing.assert_allclose(whole.fit_transform(X, Y), chosen.fit_transform(X, Y), atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": "cubic"}, 'kernel must be "rbf" or "linear" or "poly", got \'cubic\'; choose one of these'),
        ({"gamma": "wide"}, 'gamma must be "scale", "auto" or a number > 0, got \'wide\''),
        ({"gamma": None}, 'gamma must be "scale", "auto" or a number > 0, got None'),
        ({"gamma": 0.0}, "gamma must be > 0"),
        ({"degree": 0}, "degree must be an integer >= 1, got 0"),
        ({"coef0": -1.0}, "coef0 must be >= 0, got -1.0"),
        ({"exact": -1}, "exact must be an integer >= 0, got -1"),
        ({"landmarks": 0}, "landmarks must be an integer >= 1, got 0"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        clone(KernelRoot(**arguments)).fit(X)
    assert str(error.value).startswith(message)


def test_is_a_transformer_as_scikit_learn_checks_them() -> None:
    check_estimator(KernelRoot(), on_skip=None)
    assert KernelRoot().fit(X).get_feature_names_out().tolist() == [f"kernelroot{i}" for i in range(len(X))]
