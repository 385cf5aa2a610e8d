"""The estimate of a transition matrix, beside one by sorting and loops."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from tests.cases import cases

from longtail.functional import transition_matrix
from longtail.functional.transition import stochastic_matrix


def rows(n: int, classes: int, seed: int = 0) -> list[list[float]]:
    z = 3 * torch.randn(n, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return [list(map(float, row)) for row in z.softmax(1)]


def by_hand(p: list[list[float]], percentile: float) -> list[list[float]]:
    size, found = len(p[0]), []
    for i in range(size):
        order = sorted(range(len(p)), key=lambda n, i=i: p[n][i])
        row = [max(v, 1e-12) for v in p[order[math.ceil(percentile / 100 * (len(p) - 1))]]]
        found.append([v / math.fsum(row) for v in row])
    return found


@cases("percentile", [100.0, 97, 50.0, 0.1])
@cases("n", [1, 2, 40, 101])
def test_its_rows_are_the_probabilities_of_the_anchors(n: int, percentile: float) -> None:
    p = rows(n, 4)
    found = transition_matrix(torch.tensor(p), percentile=percentile)
    assert found.dtype == torch.float64
    expected = by_hand(torch.tensor(p).double().tolist(), percentile)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-15)


def test_rows_that_are_known_beyond_doubt_give_the_matrix_itself() -> None:
    """A network that has learnt P(label | class) exactly, and a row of every class."""
    true = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]], dtype=torch.float64)
    classes = torch.tensor([0, 0, 1, 2, 1, 0])
    torch.testing.assert_close(transition_matrix(true[classes]), true, rtol=0, atol=1e-11)


@cases("percentile", [100.0, 97.0])
def test_a_class_that_is_hardly_ever_predicted_has_a_row_of_probabilities_and_every_label_is_possible(
    percentile: float,
) -> None:
    z = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    z[:, 3] = -300.0  # 0 in float32
    found = transition_matrix(z.softmax(1), percentile=percentile)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-14)
    assert (found > 0).all()
    assert found[3, 3] < 1e-11  # its anchor is a row of another class, and says so
    stochastic_matrix(found, 4)


@pytest.mark.parametrize(
    ("given", "how", "message"),
    [
        (torch.ones(3), {}, "probabilities must be (N, C) with a row at least, got shape (3,); pass all rows"),
        (torch.ones(0, 3), {}, "probabilities must be (N, C) with a row at least, got shape (0, 3); pass all rows"),
        (torch.randn(5, 3), {}, "probabilities must have rows in [0, 1] that sum to 1, got others; pass scores.soft"),
        (
            torch.full((2, 2), float("nan")),
            {},
            "probabilities must have rows in [0, 1] that sum to 1, got others; pass",
        ),
        ("abc", {}, "probabilities must be numbers (N, C), got 'abc'; pass a tensor"),
        (torch.eye(2), {"percentile": 0}, "percentile must be in (0, 100], got 0; 100 takes the largest probability"),
        (torch.eye(2), {"percentile": "97"}, "percentile must be in (0, 100], got '97'; 100 takes the largest"),
        (torch.eye(2), {"percentile": math.nan}, "percentile must be in (0, 100], got nan; 100 takes the largest"),
    ],
)
def test_bad_input_is_refused_in_one_line(given: Any, how: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match="^" + re.escape(message)):
        transition_matrix(given, **how)
