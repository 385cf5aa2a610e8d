"""When a pairwise loss of two classes is consistent for the balanced error: the exact condition, in both directions.

With f = z_+ - z_-, eta = P(+ | x) and s the sigmoid, the conditional risk of f is

    R(f) = eta alpha_+ log(1 + e^(Delta_+ - f)) + (1 - eta) alpha_- log(1 + e^(Delta_- + f)),

and the best rule for the balanced error predicts + where eta > pi = P(+). The minimiser of R changes its sign there
exactly where (alpha_+ / alpha_-) (s(Delta_+) / s(Delta_-)) = (1 - pi) / pi. The minimiser is searched for with values
of the loss alone, in float64: no derivative and no formula of it enters.
"""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases import cases
from torch import Tensor

from longtail import losses as L

search = settings(max_examples=25, deadline=None, derandomize=True, database=None)
GOLDEN = (math.sqrt(5) - 1) / 2
STEPS = torch.tensor([-3.0, -1.0, -0.3, -0.03, 0.03, 0.3, 1.0, 3.0], dtype=torch.float64)
"""Distances of the log odds of eta from those of pi."""
NEAR = 1e-5
"""Distance to the minimiser within which values of a loss, rounded to float64, do not tell two points apart."""
Pair = tuple[float, float]


def log_odds(p: float) -> float:
    return math.log(p / (1 - p))


def minimiser(loss: L.Loss, eta: Tensor) -> Tensor:
    """Return f of least conditional risk for each eta (K,), by golden-section search: R is convex in f."""
    targets = torch.stack([eta, 1 - eta], 1)

    def risk(f: Tensor) -> Tensor:
        return loss.per_example(torch.stack([f / 2, -f / 2], 1), targets)

    low, high = torch.full_like(eta, -30.0), torch.full_like(eta, 30.0)
    for _ in range(45):
        width = GOLDEN * (high - low)
        left, right = high - width, low + width
        below = risk(left) < risk(right)
        low, high = torch.where(below, low, left), torch.where(below, right, high)
    return (low + high) / 2


def at(loss: L.Loss, pi: float, steps: Tensor) -> Tensor:
    """Return the minimisers where the log odds of eta are those of pi plus each step."""
    return minimiser(loss, torch.sigmoid(log_odds(pi) + steps))


def condition(pi: float, delta: Pair, margin: Pair, alpha: Pair) -> float:
    """Return the log of the condition's left side minus that of its right: 0 where it is satisfied."""
    lead = math.log(delta[1] / delta[0])
    large, small = lead + margin[0], -lead + margin[1]
    return math.log(alpha[0] / alpha[1]) + log_sigmoid(large) - log_sigmoid(small) + log_odds(pi)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def is_consistent(loss: L.Loss, pi: float) -> bool:
    """Whether the minimiser has the sign of eta - pi, at every step from pi."""
    return bool((at(loss, pi, STEPS).sign() == STEPS.sign()).all())


shares = st.floats(0.02, 0.98)
positive = st.tuples(*[st.floats(-2, 2).map(math.exp)] * 2)
margins = st.tuples(*[st.floats(-2, 2)] * 2)


@search
@given(shares, positive, margins)
def test_choices_that_satisfy_the_condition_have_the_balanced_minimiser(pi: float, delta: Pair, margin: Pair) -> None:
    """Theorem 1 needs no margin; weights alpha that satisfy the condition make up for any margin."""
    alpha = math.exp(-condition(pi, delta, margin, (1.0, 1.0))), 1.0
    loss = L.PairwiseLoss(delta=delta, margin=margin, alpha=alpha)
    assert is_consistent(loss, pi)
    assert at(loss, pi, torch.zeros(1, dtype=torch.float64)).abs().item() < NEAR


@search
@given(shares, positive, margins, st.floats(0.05, 3), st.booleans())
def test_choices_that_break_it_have_another(pi: float, delta: Pair, margin: Pair, by: float, up: bool) -> None:
    """The sign changes where the log odds of eta are those of pi less what the condition misses."""
    by = by if up else -by
    alpha = math.exp(by - condition(pi, delta, margin, (1.0, 1.0))), 1.0
    loss = L.PairwiseLoss(delta=delta, margin=margin, alpha=alpha)
    between, here = at(loss, pi, torch.tensor([-by / 2, -by], dtype=torch.float64)).tolist()
    assert between * by > 0, "eta is on the other side of pi, and the minimiser on this one"
    assert abs(here) < NEAR


@search
@given(shares, positive)
def test_every_delta_of_theorem_1_satisfies_it(pi: float, delta: Pair) -> None:
    alpha = delta[0] / pi, delta[1] / (1 - pi)
    assert abs(condition(pi, delta, (0.0, 0.0), alpha)) < 1e-12
    assert is_consistent(L.PairwiseLoss([pi, 1 - pi], delta=delta), pi)


PI = (0.9, 0.1)
ADAPTIVE = (PI[0] ** -0.25, PI[1] ** -0.25)
ONE = (1.0, 1.0)
NONE = (0.0, 0.0)
# name, delta, margin, alpha, whether it is consistent
NAMED: list[tuple[str, Pair, Pair, Pair, bool]] = [
    ("logit adjustment", PI, NONE, ONE, True),
    ("cross-entropy weighted by 1 / pi", ONE, NONE, (1 / PI[0], 1 / PI[1]), True),
    ("cross-entropy", ONE, NONE, ONE, False),
    ("logit adjustment, tau = 2", (PI[0] ** 2, PI[1] ** 2), NONE, ONE, False),
    ("logit adjustment and weights 1 / pi", PI, NONE, (1 / PI[0], 1 / PI[1]), False),
    ("adaptive", ONE, ADAPTIVE, ONE, False),
    ("adaptive and adjusted", PI, ADAPTIVE, ONE, False),
    ("equalised, F = pi", PI, (math.log(PI[0]), math.log(PI[1])), ONE, False),
    ("one margin, weights 1 / pi", ONE, (0.7, 0.7), (1 / PI[0], 1 / PI[1]), True),
    ("one margin, adjusted", PI, (0.7, 0.7), ONE, False),
]


@cases(("name", "delta", "margin", "alpha", "consistent"), NAMED)
def test_named_losses(name: str, delta: Pair, margin: Pair, alpha: Pair, consistent: bool) -> None:
    loss = L.PairwiseLoss(delta=delta, margin=margin, alpha=alpha)
    assert (abs(condition(PI[0], delta, margin, alpha)) < 1e-12) == consistent
    assert is_consistent(loss, PI[0]) == consistent


COUNTS = [900, 100]
OTHERS = {
    "logit adjustment": (L.LogitAdjustedLoss(COUNTS), True),
    "balanced softmax": (L.BalancedSoftmaxLoss(COUNTS), True),
    "VS(0, 1)": (L.VSLoss(COUNTS, gamma=0.0, tau=1.0), True),
    "cross-entropy weighted by 1 / pi": (L.CrossEntropyLoss(COUNTS, class_weight="inverse"), True),
    "binary VS(0, 1)": (L.BinaryVSLoss(COUNTS, gamma=0.0, tau=1.0), True),
    "least squares weighted by 1 / pi": (L.LeastSquaresLoss(COUNTS, class_weight="inverse"), True),
    "binary hinge weighted by 1 / pi": (L.BinaryHingeLoss(COUNTS, class_weight="inverse"), True),
    "cross-entropy": (L.CrossEntropyLoss(), False),
    "least squares": (L.LeastSquaresLoss(), False),
    "binary hinge": (L.BinaryHingeLoss(), False),
    "binary VS": (L.BinaryVSLoss(COUNTS), False),
    "binary VS, weighted": (L.BinaryVSLoss(COUNTS, class_weight="inverse"), False),
    "LDAM at s = 1": (L.LDAMLoss(COUNTS, scale=1.0), False),
    "focal": (L.FocalLoss(), False),
    "maximum margin at s = 1": (L.MaximumMarginLoss(scale=1.0), False),
}


@cases("name", OTHERS)
def test_other_losses_of_the_library(name: str) -> None:
    loss, consistent = OTHERS[name]
    assert is_consistent(loss, 0.9) == consistent
