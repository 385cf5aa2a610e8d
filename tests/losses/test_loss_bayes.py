"""What a loss learns: on Gaussian classes the consistent ones reach the Bayes balanced error, the others do not.

Three Gaussians of one covariance in the plane, for which log p(x | y) is linear in x up to a term that all classes
share, so a linear network can be optimal under any prior. The population risk is an integral over a grid, on which the
posterior stands as soft targets: nothing is sampled, so what is left is the loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.losses.loss_cases import generator
from torch import Tensor

from longtail import losses as L
from longtail.posthoc import adjust_logits

MEANS = torch.tensor([[0.0, 0.0], [1.6, 0.2], [0.5, 1.7]], dtype=torch.float64)
COUNTS = [9200, 600, 200]
PI = torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)
STEP = 0.2
AXES = [torch.arange(-5.0, 7.0, STEP, dtype=torch.float64)] * 2
GRID = torch.cartesian_prod(*AXES)


def log_density(x: Tensor) -> Tensor:
    """log p(x | y), (N, C)."""
    return -((x[:, None] - MEANS) ** 2).sum(-1) / 2 - math.log(2 * math.pi)


DENSITY = log_density(GRID).exp() * STEP**2
Fitted = Callable[[Tensor], Tensor]


def fit(loss: L.Loss, x: Tensor, targets: Tensor, weight: Tensor | None = None) -> Fitted:
    """The linear network of least risk."""
    head = torch.nn.Linear(2, 3, dtype=torch.float64)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    lbfgs = torch.optim.LBFGS(
        head.parameters(), max_iter=300, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        lbfgs.zero_grad()
        risk = loss(head(x), targets, sample_weight=weight)
        risk.backward()
        return risk

    lbfgs.step(closure)
    return lambda z: head(z).detach()


def fit_population(loss: L.Loss, pi: Tensor = PI) -> Fitted:
    joint = pi * DENSITY
    return fit(loss, GRID, joint / joint.sum(1, keepdim=True), joint.sum(1))


def regret(scores: Tensor) -> float:
    """Balanced error minus the Bayes balanced error; the integrand vanishes where the decision changes."""
    chosen = DENSITY.gather(1, scores.argmax(1, keepdim=True)).squeeze(1)
    return ((DENSITY.max(1).values - chosen).sum() / 3).item()


def test_the_grid_is_fine_enough() -> None:
    assert DENSITY.sum(0).tolist() == pytest.approx([1.0] * 3, abs=1e-5)
    bayes = 1 - DENSITY.max(1).values.sum().item() / 3
    assert 0.2 < bayes < 0.35  # there is something to lose


CONSISTENT = {
    "logit adjustment": L.LogitAdjustedLoss(COUNTS),
    "balanced softmax": L.BalancedSoftmaxLoss(COUNTS),
    "VS(0, 1)": L.VSLoss(COUNTS, gamma=0.0, tau=1.0),
    "CE, inverse frequency": L.CrossEntropyLoss(COUNTS, class_weight="inverse"),
    "TLA + ADRW at its end, tau + nu = 1": L.VSLoss(COUNTS, gamma=0.0, tau=0.6, class_weight=PI**-0.4),
    "pairwise, delta = pi": L.PairwiseLoss(COUNTS),
    "pairwise, delta = 1": L.PairwiseLoss(COUNTS, delta="ones"),
    "pairwise, delta = pi^1/2": L.PairwiseLoss(COUNTS, delta=PI.sqrt()),
    "pairwise, delta = pi^2": L.PairwiseLoss(COUNTS, delta=PI**2),
    "pairwise, delta at will": L.PairwiseLoss(COUNTS, delta=[0.2, 5.0, 1.0]),
}
INCONSISTENT = {
    "CE": L.CrossEntropyLoss(),
    "CE, square root": L.CrossEntropyLoss(COUNTS, class_weight="sqrt"),
    "logit adjustment, tau = 2": L.LogitAdjustedLoss(COUNTS, tau=2.0),
    "LDAM": L.LDAMLoss(COUNTS, scale=5.0),
    "CDT": L.CDTLoss(COUNTS),
    "uniform margin": L.UniformMarginLoss(scale=5.0),
    "maximum margin": L.MaximumMarginLoss(scale=5.0),
    "focal": L.FocalLoss(),
    "pairwise, alpha = 1": L.PairwiseLoss(COUNTS, delta=PI.sqrt(), alpha=1.0),
    "adaptive margins": L.PairwiseLoss(COUNTS, delta="ones", alpha=1.0, margin=PI**-0.25),
    "adaptive and adjusted": L.PairwiseLoss(COUNTS, margin=PI**-0.25),
    "equalised, F = pi": L.PairwiseLoss(delta=PI, alpha=1.0, margin=PI.log()),
    "label-aware smoothing": L.LabelAwareSmoothingLoss(COUNTS),
    "softmax equalisation": L.SoftmaxEqualizationLoss(COUNTS, gamma=1.0),
    "VS": L.VSLoss(COUNTS),
    "equalised, F = n / n_max": L.PairwiseLoss(delta=PI / PI.max(), alpha=1.0, margin=(PI / PI.max()).log()),
    "TLA + ADRW at its end, nu = 0.4": L.VSLoss(COUNTS, gamma=0.0, class_weight=PI**-0.4),
    "least squares": L.LeastSquaresLoss(),
    "binary hinge": L.BinaryHingeLoss(),
    "LA and weights 1 / pi": L.LogitAdjustedLoss(COUNTS, class_weight="inverse"),
}


@pytest.mark.parametrize("name", CONSISTENT)
def test_consistent_losses_reach_the_bayes_balanced_error(name: str) -> None:
    loss = CONSISTENT[name]
    network = fit_population(loss)
    assert regret(loss.scores(network(GRID))) < 1e-6


@pytest.mark.parametrize("name", INCONSISTENT)
def test_other_losses_visibly_do_not(name: str) -> None:
    loss = INCONSISTENT[name]
    network = fit_population(loss)
    assert regret(loss.scores(network(GRID))) > 0.01


PRIORS = {
    "long tail": PI,
    "uniform": torch.full((3,), 1 / 3, dtype=torch.float64),
    "other way round": PI.flip(0),
    "rare middle": torch.tensor([0.60, 0.01, 0.39], dtype=torch.float64),
}


def posterior(pi: Tensor) -> Tensor:
    joint = pi * DENSITY
    return joint / joint.sum(1, keepdim=True)


@pytest.mark.parametrize("trained_on", PRIORS)
def test_corrected_probabilities_are_the_posterior_of_any_prior(trained_on: str) -> None:
    """Train under one prior; the adjusted scores are the posterior under every other."""
    pi = PRIORS[trained_on]
    plain = fit_population(L.CrossEntropyLoss(), pi)(GRID)
    balanced = fit_population(L.LogitAdjustedLoss(pi), pi)(GRID)
    torch.testing.assert_close(torch.softmax(plain, 1), posterior(pi), rtol=0, atol=1e-5)
    for to in PRIORS.values():
        for scores in (adjust_logits(plain, pi), balanced):
            there = torch.softmax(adjust_logits(scores, 1 / to), 1)  # 1 / to puts that prior on
            torch.testing.assert_close(there, posterior(to), rtol=0, atol=1e-5)


def sample(n: list[int], seed: int) -> tuple[Tensor, Tensor]:
    y = torch.repeat_interleave(torch.arange(3), torch.tensor(n))
    return MEANS[y] + torch.randn(len(y), 2, generator=generator(seed), dtype=torch.float64), y


@pytest.mark.parametrize("name", ["logit adjustment", "CE, inverse frequency", "pairwise, delta = pi^1/2"])
def test_on_a_sample_they_reach_it_within_its_error(name: str) -> None:
    """Class indices of a drawn training set, 200 of them rare; a balanced test set paired with the Bayes classifier."""
    loss, (x, y) = CONSISTENT[name], sample(COUNTS, seed=3)
    test_x, test_y = sample([20_000] * 3, seed=4)
    network = fit(loss, x, y)
    bayes = log_density(test_x).argmax(1) != test_y

    def excess(scores: Tensor) -> Tensor:  # per class and example
        return ((scores.argmax(1) != test_y).double() - bayes.double()).reshape(3, -1)

    paired = excess(network(test_x))
    error = (paired.var(1) / paired.shape[1]).sum().sqrt().item() / 3
    assert regret(network(GRID)) < 0.002
    assert paired.mean().item() == pytest.approx(regret(network(GRID)), abs=4 * error)
    assert excess(fit(L.CrossEntropyLoss(), x, y)(test_x)).mean() > 0.1
