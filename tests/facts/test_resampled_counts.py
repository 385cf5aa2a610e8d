"""Rows of each class after resampling, against loops."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from longtail.catalogue.implied import resampled
from longtail.facts.resampled_counts import lowered, raised

COUNTS = [[100, 37, 5, 0], [7, 7, 7], [1, 1000, 3], [0, 2, 9]]


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.1, 0.013])
def test_they_are_those_of_loops(counts: list[int], ratio: float) -> None:
    most, least = max(counts), min(n for n in counts if n)
    up = [max(n, math.floor(ratio * most)) if n else 0 for n in counts]
    down = [min(n, math.floor(least / ratio)) for n in counts]
    assert raised(counts, ratio).tolist() == up
    assert lowered(counts, ratio).tolist() == down
    n = torch.tensor(counts)
    assert resampled(ratio, None)(n).tolist() == up
    assert resampled(None, ratio)(n).tolist() == down
    lowest = min(m for m in up if m)
    both = [min(m, math.floor(lowest / 0.5)) for m in up]
    assert resampled(ratio, 0.5)(n).tolist() == both
    assert resampled(None, None)(n).tolist() == counts


def test_the_arguments_are_left_alone() -> None:
    counts = np.array([5.0, 3.0])
    raised(counts, 1.0), lowered(counts, 1.0)
    assert counts.tolist() == [5, 3]


def test_floors_are_those_of_exact_numbers() -> None:
    """In floats 0.29 * 100 is below 29 and 7 / 0.07 below 100."""
    for percent in range(1, 101):
        share = Fraction(percent, 100)
        for n in range(1, 120):
            assert raised([n, 1, 0], percent / 100).tolist() == [n, max(1, math.floor(share * n)), 0]
            assert lowered([10**6, n, 0], percent / 100).tolist() == [math.floor(n / share), n, 0]
