"""ECE and classwise ECE against plain loops over bins, written from the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from tests.cases import cases

from longtail.metrics import classwise_ece, ece


def binned_error(confidences: list[float], hits: list[int], bins: int) -> float:
    """Guo et al. 2017, equation 3, one bin after the other."""
    total = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        inside = [i for i, p in enumerate(confidences) if low < p <= high or (b == 0 and p == 0.0)]
        if inside:
            accuracy = sum(hits[i] for i in inside) / len(inside)
            confidence = sum(confidences[i] for i in inside) / len(inside)
            total += len(inside) / len(confidences) * abs(accuracy - confidence)
    return total


def random_case(seed: int, classes: int, sharp: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = sharp * rng.normal(size=(80, classes))
    probs = np.exp(logits)
    return probs / probs.sum(1, keepdims=True), rng.integers(0, classes, 80)


@cases("bins", [1, 10, 15])
@cases(("seed", "classes", "sharp"), [(0, 2, 1.0), (1, 5, 3.0), (2, 40, 0.1), (3, 40, 30.0)])
def test_both_errors_equal_a_loop_over_bins(seed: int, classes: int, sharp: float, bins: int) -> None:
    probs, y = random_case(seed, classes, sharp)
    rows = probs.tolist()
    top = [row.index(max(row)) for row in rows]
    expected = binned_error([max(row) for row in rows], [int(t == k) for t, k in zip(top, y, strict=True)], bins)
    assert ece(probs, y, bins) == pytest.approx(expected, abs=1e-13)
    by_class = [binned_error([row[j] for row in rows], [int(k == j) for k in y], bins) for j in range(classes)]
    assert classwise_ece(probs, y, bins) == pytest.approx(sum(by_class) / classes, abs=1e-13)


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    # 0.6 = 9/15 closes bin 9: together with 0.59 its gap is (1 - 0.6) + (0 - 0.59) = -0.19.
    # One bin further up the two gaps would stand alone, 0.4 + 0.59.
    probs = np.array([[9 / 15, 6 / 15], [0.59, 0.41]])
    assert ece(probs, [0, 1]) == pytest.approx(0.19 / 2)


@cases("k", range(1, 15))
def test_every_edge_as_a_float_is_below_its_bin(k: int) -> None:
    edge, under = k / 15, k / 15 - 1e-6
    probs = np.array([[edge, 1 - edge], [under, 1 - under]])
    by_class = [binned_error(probs[:, j].tolist(), [1 - j, j], 15) for j in (0, 1)]
    assert classwise_ece(probs, [0, 1]) == pytest.approx(sum(by_class) / 2, abs=1e-15)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not() -> None:
    probs = np.eye(3)
    assert ece(probs, [0, 1, 2]) == classwise_ece(probs, [0, 1, 2]) == 0.0
    assert ece(probs, [1, 2, 0]) == 1.0
    assert classwise_ece(probs, [1, 2, 0]) == pytest.approx(2 / 3)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"rows that sum to 1 where probabilities=True, got a row with sum 1\.2"):
        ece([[0.5, 0.5], [0.6, 0.6]], [0, 1])
    with pytest.raises(ValueError, match="bins must be >= 1, got 0; use bins=15"):
        ece([[0.5, 0.5]], [0], bins=0)
