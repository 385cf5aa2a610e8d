"""SimPro: both priors over epochs in plain numbers, the loss under them, and EM where the densities are known."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import Tensor

from longtail.facts.types import Batch, Outputs
from longtail.learners.estimated_priors import EstimatedPriors, MixturePriorLoss
from longtail.targets import Confident, Soft

COUNTS = torch.tensor([60, 30, 10])
NO_DATA: Any = None


def guesses(rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(rows, 3, dtype=torch.float64, generator=generator)).softmax(1)


def refined(priors: EstimatedPriors, q: Tensor) -> Tensor:
    rest = Batch(inputs=q, index=torch.arange(len(q)))
    labels: Tensor = priors(rest, q, Outputs(q[None]), 0.0)
    return labels


@cases(("tau", "momentum", "threshold"), [(1.0, 0.9, 0.7), (2.0, 0.5, 0.9), (1.0, 0.0, None), (0.5, 0.9, 1.01)])
def test_the_priors_over_epochs(tau: float, momentum: float, threshold: float | None) -> None:
    use = Soft() if threshold is None else Confident(threshold, soft=True)
    priors = EstimatedPriors(COUNTS, use, 4, tau=tau, momentum=momentum)
    u, v, shares = np.full(3, 1 / 3), np.array([0.6, 0.3, 0.1]), np.array([0.6, 0.3, 0.1])
    for epoch in range(3):
        priors.refresh(NO_DATA, 0.0)
        sums, labelled = np.zeros(3), np.zeros(3)
        for step in range(2 + epoch):
            q = guesses(20, 10 * epoch + step)
            y = q.numpy() * u**tau
            y = y / y.sum(1, keepdims=True)
            np.testing.assert_allclose(refined(priors, q).numpy(), y, rtol=1e-10)
            counts = np.ones(20) if threshold is None else y.max(1) >= threshold
            sums += (counts[:, None] * y).sum(0)
            labelled += 4 * shares
        u = u if sums.sum() == 0 else momentum * u + (1 - momentum) * sums / sums.sum()
        v = momentum * v + (1 - momentum) * (sums + labelled) / (sums + labelled).sum()
    priors.refresh(NO_DATA, 0.0)
    np.testing.assert_allclose(priors.unlabeled.numpy(), u, rtol=1e-10)
    np.testing.assert_allclose(priors.mixture.numpy(), v, rtol=1e-10)
    priors.refresh(NO_DATA, 0.0)  # no step since
    np.testing.assert_allclose(priors.mixture.numpy(), v, rtol=1e-10)


def test_the_first_guesses_are_those_of_the_host_and_nothing_is_counted_twice() -> None:
    priors, q = EstimatedPriors(COUNTS, Soft(), 4), guesses(20, 0)
    priors.holding = True  # a second pass of the same step
    torch.testing.assert_close(refined(priors, q), q)
    assert priors.taught.sum() == priors.labelled.sum() == 0
    one_hot = torch.eye(3)
    priors.unlabeled.copy_(torch.tensor([1.0, 0.0, 0.0]))
    assert refined(priors, one_hot).equal(one_hot)  # a prior that has run out moves no row that is sure


def test_em_finds_the_prior_of_the_rows_without_labels() -> None:
    """Where the scores are the true densities, the estimate converges to the true shares, reversed to the labels'."""
    generator, truth = np.random.default_rng(0), np.array([0.1, 0.2, 0.7])
    x = np.concatenate([generator.normal(2.0 * k, 1.0, int(20_000 * share)) for k, share in enumerate(truth)])
    densities = np.stack([np.exp(-((x - 2.0 * k) ** 2) / 2) for k in range(3)], 1)
    q = torch.from_numpy(densities / densities.sum(1, keepdims=True))
    priors = EstimatedPriors(COUNTS, Soft(), 1, momentum=0.0)
    for _ in range(300):
        refined(priors, q)
        priors.refresh(NO_DATA, 0.0)
    np.testing.assert_allclose(priors.unlabeled.numpy(), truth, atol=0.01)


@cases("tau", [1.0, 2.0])
def test_the_loss_under_the_present_prior(tau: float) -> None:
    priors = EstimatedPriors(COUNTS, Soft(), 4, tau=tau, momentum=0.5)
    loss = MixturePriorLoss(priors)
    z = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels, q = torch.tensor([0, 1, 2, 0, 1, 2]), guesses(6, 5)
    for _ in range(2):
        a = z.detach().numpy() + tau * np.log(priors.mixture.numpy())
        log_p = a - np.log(np.exp(a).sum(1, keepdims=True))
        hard = -log_p[np.arange(6), labels.numpy()]
        np.testing.assert_allclose(loss.per_example(z, labels).detach().numpy(), hard, rtol=1e-10)
        np.testing.assert_allclose(loss.with_losses(z, labels)[0].item(), hard.mean(), rtol=1e-10)
        np.testing.assert_allclose(loss(z, labels).item(), hard.mean(), rtol=1e-10)
        np.testing.assert_allclose(loss.per_example(z, q).detach().numpy(), -(q.numpy() * log_p).sum(1), rtol=1e-10)
        np.testing.assert_allclose(loss.probabilities(z).detach().numpy(), np.exp(log_p), rtol=1e-10)
        refined(priors, guesses(30, 1))  # the prior moves, and the loss with it
        priors.refresh(NO_DATA, 0.0)
    assert torch.autograd.gradcheck(lambda z: loss.per_example(z, q), z)
    assert torch.autograd.gradcheck(lambda z: loss.per_example(z, labels), z)


def test_a_copy_of_both_is_of_its_own() -> None:
    priors = EstimatedPriors(COUNTS, Soft(), 4)
    pair = torch.nn.ModuleList([priors, MixturePriorLoss(priors)])
    first, loss = copy.deepcopy(pair)
    assert loss.priors is first  # type: ignore[union-attr]
    assert first is not priors
    assert not any(name.startswith("1.") for name in pair.state_dict())


def test_soft_labels_above_the_threshold() -> None:
    q = guesses(50, 3)
    targets, weight = Confident(0.7, soft=True)(q)
    assert targets.equal(q)
    assert weight.equal(Confident(0.7)(q)[1])
    assert 0 < weight.mean() < 1
    assert weight.tolist() == pytest.approx([float(max(row) >= 0.7) for row in q.tolist()])
