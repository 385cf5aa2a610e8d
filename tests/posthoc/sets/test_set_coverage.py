"""On simulated data the sets cover what they promise: 200 data sets for each class size, one calibration draw each."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from longtail.facts.beta_binomial import covered_interval
from longtail.facts.set_ranks import exact_level, rank
from longtail.posthoc import ConformalSets, CrossConformalSets

SIZES = (4, 8, 9, 19, 50, 200)
"""Calibration rows of the classes; 4 and 8 are below the limit of 0.9, which needs 9."""
LEVEL, DRAWS, TESTED = 0.9, 200, 100


def rows(sizes: list[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of a model that knows a little and is not calibrated."""
    labels = torch.repeat_interleave(torch.tensor(sizes))
    logits = 2 * torch.randn(len(labels), len(sizes), generator=generator, dtype=torch.float64)
    logits[torch.arange(len(labels)), labels] += 1.5
    return (1.7 * logits).log_softmax(1), labels


@functools.cache
def covered(score: str) -> np.ndarray[Any, Any]:
    """How many of the test rows of each class have it in their set (DRAWS, C)."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(DRAWS):
        sets = ConformalSets(len(SIZES), score=score).fit(*rows(list(SIZES), generator))
        new, labels = rows([TESTED] * len(SIZES), generator)
        inside = sets.sets(new, LEVEL)[torch.arange(len(labels)), labels]
        found.append(inside.view(len(SIZES), TESTED).sum(1).numpy())
    return np.stack(found)


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize("n", SIZES)
def test_coverage_is_within_its_beta_binomial_interval(score: str, n: int) -> None:
    counts, k = covered(score)[:, SIZES.index(n)], rank(n, exact_level(LEVEL))
    if k > n:
        assert (counts == TESTED).all()
        return
    for level in (0.8, 0.95, 1 - 1e-5):
        low, high = covered_interval(TESTED, k, n, level)
        law = stats.betabinom(TESTED, k, n + 1 - k)
        sides = [((counts < low).sum(), law.cdf(low - 1)), ((counts > high).sum(), law.sf(high))]
        for outside, share in sides[: 2 if score == "lac" else 1]:  # ties of "aps" raise coverage
            assert share <= (1 - level) / 2 + 1e-9
            assert outside <= stats.binom.ppf(1 - 1e-4, DRAWS, share), (level, outside, share)
    # neither too little nor, without ties, too much: the mean over draws is k / (n + 1)
    too_much = (counts.mean() / TESTED - k / (n + 1)) / (law.std() / TESTED / DRAWS**0.5)
    assert -4 < too_much < (4 if score == "lac" else float("inf"))


def test_cross_sets_cover_what_is_asked_and_more_than_is_promised() -> None:
    """Each of five models has its own noise; what is promised is 1 - 2a."""
    generator = torch.Generator().manual_seed(0)
    sizes, hits = [10, 30, 100], np.zeros(3)
    for _ in range(DRAWS):
        weights = [torch.randn(3, 3, generator=generator, dtype=torch.float64) for _ in range(5)]

        def logs(features: torch.Tensor, fold: Any, weights: Any = weights) -> torch.Tensor:
            return (features + 0.3 * torch.einsum("nc,nck->nk", features, torch.stack(weights)[fold])).log_softmax(1)

        x, y = rows(sizes, generator)
        new, labels = rows([20] * 3, generator)
        fold = torch.arange(len(y)) % 5
        fitted = CrossConformalSets(3, 5).fit(logs(x, fold), y, fold)
        asked = torch.stack([logs(new, torch.full((len(new),), f)) for f in range(5)])
        inside = fitted.sets(asked, LEVEL)[torch.arange(len(labels)), labels]
        hits += inside.view(3, 20).double().mean(1).numpy() / DRAWS
    assert (hits > 0.87).all()
    assert (hits < 0.96).all()
