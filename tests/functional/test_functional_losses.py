"""The functions behind the losses: their pieces, their constants, and what holds for each of them."""

from __future__ import annotations

import math

import pytest
import torch
from tests.cases import cases
from torch import Tensor

from longtail import functional

COUNTS = [625, 256, 81, 16, 1]
C = len(COUNTS)
MARGINS = functional.ldam_margins(COUNTS, dtype=torch.float64)
PRIOR = functional.log_prior(COUNTS, dtype=torch.float64)
FACTORS = functional.relative_counts(COUNTS, dtype=torch.float64) ** 0.3
LOSSES = {
    "cross_entropy": functional.cross_entropy,
    "focal": functional.focal,
    "logit_adjusted": lambda z, t, **kw: functional.logit_adjusted(z, t, PRIOR, **kw),
    "ldam": lambda z, t, **kw: functional.ldam(z, t, MARGINS, **kw),
    "hinge": lambda z, t, **kw: functional.hinge(z, t, 20 + MARGINS, **kw),
    "example_margin": lambda z, t, **kw: functional.example_margin(
        z, t, functional.maximum_margins(z, t, **kw), 3.0, **kw
    ),
    "vector_scaled": lambda z, t, **kw: functional.vector_scaled(z, t, FACTORS, PRIOR, 0.8, **kw),
    "vector_scaled without prior": lambda z, t, **kw: functional.vector_scaled(z, t, FACTORS, **kw),
    "pairwise": lambda z, t, **kw: functional.pairwise(z, t, PRIOR / 2, **kw),
    "pairwise with margins": lambda z, t, **kw: functional.pairwise(z, t, PRIOR / 2, MARGINS, **kw),
    "sigmoid_cross_entropy": functional.sigmoid_cross_entropy,
    "sigmoid_focal": functional.sigmoid_focal,
}
all_losses = cases("name", LOSSES)


def logits(n: int = 8, spread: float = 2.0) -> Tensor:
    return spread * torch.randn(n, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_margins_are_the_fourth_root_rule_by_hand() -> None:
    # n^(1/4) = 5, 4, 3, 2, 1, so the margins are 0.5 times 1/5, 1/4, 1/3, 1/2, 1
    assert MARGINS.tolist() == pytest.approx([0.1, 0.125, 1 / 6, 0.25, 0.5], abs=1e-15)
    assert functional.ldam_margins(COUNTS, 0.3).max().item() == pytest.approx(0.3)
    assert functional.ldam_margins(COUNTS).dtype == torch.float32
    masked = functional.ldam_margins([16, 0, 1], zero_count="mask")
    assert masked.tolist() == [0.25, 0.0, 0.5]


def test_log_priors_are_logs_of_shares() -> None:
    assert PRIOR.tolist() == pytest.approx([math.log(n / sum(COUNTS)) for n in COUNTS], abs=1e-15)
    assert functional.log_prior([3, 0, 1], zero_count="mask").tolist() == pytest.approx(
        [math.log(0.75), -math.inf, math.log(0.25)]
    )


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 300.0])
def test_log_odds_against_a_class_do_not_cancel(spread: float) -> None:
    z = logits(spread=spread)
    odds = functional.log_odds_against(z)
    for row, answers in zip(z.tolist(), odds.tolist(), strict=True):
        for k, answer in enumerate(answers):
            others = [v for j, v in enumerate(row) if j != k]
            top = max(others)
            want = top + math.log(math.fsum(math.exp(v - top) for v in others)) - row[k]
            assert answer == pytest.approx(want, rel=1e-13, abs=1e-13)


def test_log_odds_have_finite_gradients_where_one_class_is_certain() -> None:
    z = torch.tensor([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0], [88.0, -88.0, 0.0]], requires_grad=True)
    odds = functional.log_odds_against(z)
    odds.sum().backward()
    assert torch.isfinite(odds).all()
    assert torch.isfinite(z.grad).all()


@all_losses
def test_every_loss_is_linear_in_its_soft_targets(name: str) -> None:
    z, loss = logits(), LOSSES[name]
    g = torch.Generator().manual_seed(1)
    p, q = (torch.rand(z.shape, dtype=torch.float64, generator=g) for _ in range(2))
    torch.testing.assert_close(loss(z, 2 * p + 3 * q), 2 * loss(z, p) + 3 * loss(z, q))
    assert torch.equal(loss(z, torch.zeros_like(q)), torch.zeros(len(z), dtype=torch.float64))


@all_losses
def test_every_loss_is_per_example_and_zero_where_ignored(name: str) -> None:
    z, y = logits(), torch.tensor([0, 1, 2, 3, 4, -100, 9, 0])
    out = LOSSES[name](z, y.where(y != 9, -100))
    assert out.shape == (8,)
    assert (out[5:7] == 0).all()
    assert (out[[0, 1, 2, 3, 4, 7]] > 0).all()
    assert torch.equal(LOSSES[name](z, y.where(y != -100, 9), ignore_index=9)[5:7], torch.zeros(2).double())


@all_losses
def test_narrow_logits_give_float32(name: str) -> None:
    y = torch.arange(C)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert LOSSES[name](logits(C).to(dtype), y).dtype == torch.float32


def test_a_prior_of_zero_leaves_the_denominator() -> None:
    z = logits()
    prior = functional.log_prior([4, 0, 2, 1, 1], zero_count="mask", dtype=torch.float64)
    rest = [0, 2, 3, 4]
    y = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    for tau in (0.0, 0.5, torch.tensor(2.0)):
        with_it = functional.logit_adjusted(z, torch.tensor(rest)[y], prior, tau)
        torch.testing.assert_close(with_it, functional.logit_adjusted(z[:, rest], y, prior[rest], tau))


def test_smoothed_indices_are_distributions() -> None:
    y = torch.tensor([[0, 2], [-100, 1]])
    q = functional.smoothed(y, 3, 0.3, torch.float64)
    assert q.shape == (2, 3, 2)
    assert q[0, :, 0].tolist() == pytest.approx([0.8, 0.1, 0.1])
    assert q[0, :, 1].tolist() == pytest.approx([0.1, 0.1, 0.8])
    assert q[1, :, 0].tolist() == [0, 0, 0]


def test_the_focal_modulation_has_a_slope_at_certainty() -> None:
    for gamma in (0.0, 0.1, 0.5, 2.0):
        c = torch.tensor([0.0, 1e-30, 1e-8, 1.0, 1e4], requires_grad=True)
        value = functional.modulated(c, gamma)
        value.sum().backward()
        assert torch.isfinite(value).all()
        assert torch.isfinite(c.grad).all()
        assert (c.grad >= 0).all()


@pytest.mark.parametrize("depth", [10.0, 20.0, 30.0])
def test_sigmoid_terms_keep_their_digits_far_from_zero(depth: float) -> None:
    z = torch.full((1, 3), -depth)
    z[0, 0] = depth
    loss = functional.sigmoid_cross_entropy(z, torch.tensor([0]))
    assert loss.item() == pytest.approx(3 * math.log1p(math.exp(-depth)), rel=1e-5)
    focal = functional.sigmoid_focal(z, torch.tensor([0]), 1.0)
    p = math.exp(-depth) / (1 + math.exp(-depth))
    assert focal.item() == pytest.approx(3 * p * math.log1p(math.exp(-depth)), rel=1e-4)


def test_a_lead_is_the_true_logit_less_the_best_of_the_others() -> None:
    z = logits()
    of_every_class = functional.lead(z, torch.zeros_like(z))
    for row, leads in zip(z.tolist(), of_every_class.tolist(), strict=True):
        for k, lead in enumerate(leads):
            assert lead == row[k] - max(v for j, v in enumerate(row) if j != k)
    y = torch.arange(len(z)) % C
    assert torch.equal(functional.lead(z, y), of_every_class.gather(1, y[:, None])[:, 0])
    tie = torch.tensor([[2.0, 2.0, 1.0]])
    assert functional.lead(tie, torch.zeros_like(tie)).tolist() == [[0.0, 0.0, -1.0]]


def test_relative_counts_are_shares_of_the_largest() -> None:
    assert functional.relative_counts([10, 5, 2]).tolist() == pytest.approx([1.0, 0.5, 0.2])
    assert functional.relative_counts([10, 0, 5], zero_count="mask").tolist() == [1.0, 0.0, 0.5]
    assert functional.relative_counts([10, 0, 5], zero_count=1).tolist() == pytest.approx([1.0, 0.1, 0.5])
    with pytest.raises(ValueError, match=r"^class_counts must be > 0 for every class, got 0 for class 1"):
        functional.relative_counts([10, 0, 5])


def test_maximum_margins_are_constants_and_shrink_away_from_the_boundary() -> None:
    z = torch.tensor([[0.5, 0.1], [0.2, 0.1], [0.1, 0.1], [0.0, 0.1], [-0.4, 0.1]], dtype=torch.float64)
    y = torch.zeros(5, dtype=torch.long)
    margins = functional.maximum_margins(z.requires_grad_(), y, 0.6, 1.5)
    want = [math.exp(-0.4 - 0.9), math.exp(-0.1 - 0.9), math.exp(-0.6), math.exp(-0.1 - 0.6), math.exp(-0.5 - 0.6)]
    assert margins.tolist() == pytest.approx(want)
    assert not margins.requires_grad


def test_a_delta_of_zero_leaves_the_sum_with_margins_and_without() -> None:
    z, rest = logits(), [0, 2, 3, 4]
    delta = torch.tensor([0.4, 0.0, 2.0, 1.0, 0.3], dtype=torch.float64).log()
    y, q = torch.arange(8) % 4, torch.softmax(logits(spread=1.0), 1)
    for margins in (None, MARGINS):
        of_rest = None if margins is None else margins[rest]
        alone = functional.pairwise(z[:, rest], y, delta[rest], of_rest)
        torch.testing.assert_close(functional.pairwise(z, torch.tensor(rest)[y], delta, margins), alone)
        x = z.clone().requires_grad_()
        value = functional.pairwise(x, q, delta, margins)
        torch.testing.assert_close(value, functional.pairwise(z[:, rest], q[:, rest], delta[rest], of_rest))
        (grad,) = torch.autograd.grad(value.sum(), x)
        assert torch.isfinite(grad).all()
        assert (grad[:, 1] == 0).all()
