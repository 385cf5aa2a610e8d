"""Class totals from a confusion matrix and by expectation maximisation, on problems with a known answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from longtail.posthoc import estimate_prior, estimate_totals

CONFUSION = torch.tensor([[0.8, 0.2, 0.1], [0.1, 0.7, 0.3], [0.1, 0.1, 0.6]], dtype=torch.float64)
"""[k, j]: probability of class k that a row of class j gets."""


def rows(counts: list[int]) -> tuple[Tensor, Tensor]:
    """Rows that a model confuses by exactly this matrix, and their classes."""
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    return CONFUSION.T[labels], labels


def gaussians(counts: list[int], train: Tensor, seed: int, biased: float = 0.0) -> tuple[Tensor, Tensor]:
    """The posterior under `train` of points from three Gaussians, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    x = labels.double() * 2 + torch.randn(len(labels), dtype=torch.float64, generator=generator)
    logits = -((x[:, None] - 2 * torch.arange(3)) ** 2) / 2 + train.log()
    return ((1 + biased) * logits).softmax(1), labels


@pytest.mark.parametrize("counts", [[40, 40, 40], [100, 10, 1], [1, 5, 70], [50, 0, 3]])
def test_the_inverse_is_exact_where_rows_are_confused_alike(counts: list[int]) -> None:
    probs, labels = rows([9, 5, 2])
    found = estimate_totals(probs, labels, rows(counts)[0])
    torch.testing.assert_close(found.totals, torch.tensor(counts).double(), rtol=1e-9, atol=1e-9)
    assert found.condition == pytest.approx(np.linalg.cond(CONFUSION.numpy()))
    array = estimate_totals(probs.numpy(), labels.numpy(), rows(counts)[0].numpy())
    assert isinstance(array.totals, np.ndarray)
    np.testing.assert_allclose(array.totals, counts, rtol=1e-9, atol=1e-9)


def test_is_the_definition() -> None:
    train = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    probs, labels = gaussians([30, 20, 10], train, 0)
    rest, _ = gaussians([50, 100, 150], train, 1)
    matrix = np.array([[probs[labels == j, k].mean().item() for j in range(3)] for k in range(3)])
    expected = np.linalg.solve(matrix, rest.sum(0).numpy())
    np.testing.assert_allclose(estimate_totals(probs, labels, rest).totals, expected, rtol=1e-10)
    assert expected.sum() == pytest.approx(300)


@pytest.mark.parametrize("truth", [[3000, 3000, 3000], [6000, 2000, 1000], [1000, 2000, 6000]])
def test_both_estimates_find_the_totals_of_gaussians(truth: list[int]) -> None:
    train = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    probs, labels = gaussians([4000, 4000, 4000], train, 0)
    rest, _ = gaussians(truth, train, 1)
    inverted = estimate_totals(probs, labels, rest)
    assert inverted.accepted
    expected = estimate_prior(rest, train, probabilities=True).prior * sum(truth)
    for found in (inverted.totals, expected):
        assert float((found - torch.tensor(truth)).abs().max()) < 0.03 * sum(truth)


def test_the_inverse_does_not_need_calibration_and_expectation_maximisation_does() -> None:
    train = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    truth = torch.tensor([1000, 2000, 6000])
    probs, labels = gaussians([4000, 4000, 4000], train, 0, biased=1.0)
    rest, _ = gaussians(truth.tolist(), train, 1, biased=1.0)
    inverted = float((estimate_totals(probs, labels, rest).totals - truth).abs().max())
    expected = float((estimate_prior(rest, train, probabilities=True).prior * 9000 - truth).abs().max())
    assert inverted < 0.03 * 9000
    assert inverted < 0.5 * expected


def test_an_estimate_below_0_and_a_matrix_that_is_nearly_singular_are_rejected() -> None:
    probs, labels = rows([9, 5, 2])
    certain = torch.tensor([[1.0, 0, 0]]).double().expand(20, 3)
    found = estimate_totals(probs, labels, certain)
    assert bool((found.totals < 0).any())
    assert found.condition < 100
    assert not found.accepted
    blurred = (probs + 200) / 601
    found = estimate_totals(blurred, labels, (rows([5, 5, 5])[0] + 200) / 601)
    assert found.condition > 100
    assert not found.accepted
    alike = torch.full((6, 2), 0.5)
    assert not estimate_totals(alike, torch.arange(6) % 2, alike).accepted


PROBS, LABELS = rows([3, 2, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PROBS, LABELS, PROBS[:, :2]), r"unlabeled must have shape \(M, C\) with the classes of probs \(6, 3\)"),
        ((PROBS, LABELS, PROBS[:0]), r"unlabeled must have shape \(M, C\) .* M >= 1, got \(0, 3\)"),
        ((PROBS, LABELS[:5], PROBS), r"labels must be \(6,\) class indices, got shape \(5,\)"),
        ((PROBS, LABELS.double(), PROBS), r"labels must be \(6,\) class indices, .*float64"),
        ((PROBS, LABELS.clamp(max=1), PROBS), "labels must have every class, and no other, got none of class 2"),
        ((PROBS, LABELS + 1, PROBS), r"targets must be in \[0, 3\), got 3"),
        ((2 * PROBS, LABELS, PROBS), "probs must be >= 0 with rows that sum to 1"),
    ],
)
def test_bad_input_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_totals(*arguments)
