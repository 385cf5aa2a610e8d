"""ABSGD's weights and s follow the paper's recursion, its gradient is that of the objective, its limits are plain."""

from __future__ import annotations

import math

import pytest
import torch
from tests.cases import cases
from tests.instance_weights import weight_formulas as formulas
from torch import Tensor

from longtail.facts.schedules import linear, steps, switch
from longtail.instance_weights import ABSGD, TERM, Mean

STEPS = 40


def losses_of(count: int, size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [4 * torch.rand(size, generator=generator, dtype=dtype) for _ in range(count)]


LAM = {
    "constant": 1.3,
    "negative": -0.7,
    "plain first": switch(0.5, math.inf, 2.0),
    "stronger and stronger": steps((0.3, 0.6), (100.0, 5.0, 0.5)),
    "changes sign and back": steps((0.2, 0.5, 0.8), (2.0, -1.0, -3.0, 1.0)),
    "plain between": steps((0.3, 0.6), (2.0, -math.inf, 2.0)),
    "to another and back": steps((0.25, 0.5, 0.6), (5.0, 2.0, math.inf, 5.0)),
    "moves in every call": linear(5.0, 2.0),
}
OPTIONS = {
    "default": {},
    "released code, imbalance": {"init": "zero", "alpha": 0.5},
    "released code, noise": {"init": "zero", "alpha": 0.5, "uniform": 1.0},
    "first with alpha": {"alpha": 0.3},
    "three micro-batches": {"accumulate": 3},
    "seven from zero": {"accumulate": 7, "init": "zero", "alpha": 2.0},
    "the paper's s_0": {"init": 1.7},
    "s_0 and three micro-batches": {"init": 0.25, "accumulate": 3, "alpha": 0.5},
}


@cases("tensor", [False, True], ids=["float progress", "tensor progress"])
@cases("masked", [False, True], ids=["all", "masked"])
@cases("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("lam", LAM.values(), ids=LAM)
def test_weights_and_s_follow_the_recursion(lam, options, masked: bool, tensor: bool) -> None:
    gamma = steps((0.4, 0.7), (0.5, 0.125, 1.0))  # numbers that float32 holds: a schedule answers a tensor in it
    weights = ABSGD(lam, gamma, **options)
    generator = torch.Generator().manual_seed(1)
    calls, got, states = [], [], []
    for i, losses in enumerate(losses_of(STEPS, 9)):
        progress = i / STEPS
        kept = torch.rand(9, generator=generator) > (0.4 if i % 5 else 1.0)  # every fifth batch holds nothing
        kept = kept if masked else torch.ones(9, dtype=torch.bool)
        now = lam if isinstance(lam, float) else lam(progress)
        calls.append(formulas.Call(losses.tolist(), kept.tolist(), now, gamma(progress)))
        asked = torch.tensor(progress, dtype=torch.float64) if tensor else progress
        got.append(weights.weigh(losses, kept=kept if masked else None, progress=asked))
        states.append(weights.s.item())
    rows, expected = formulas.absgd(calls, **options)
    torch.testing.assert_close(torch.stack(got), torch.tensor(rows, dtype=torch.float64), rtol=1e-12, atol=0)
    assert states == pytest.approx([s or 0.0 for s in expected], rel=1e-12, abs=0)


@pytest.mark.parametrize("lam", [0.5, 3.0, -0.5, -3.0])
def test_the_full_batch_gradient_at_gamma_1_is_that_of_the_objective(lam: float) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(3, (30,), generator=generator)
    weight = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    losses = torch.nn.functional.cross_entropy(x @ weight, y, reduction="none")
    objective = lam * (losses / lam).exp().mean().log()
    (wanted,) = torch.autograd.grad(objective, weight, retain_graph=True)
    (got,) = torch.autograd.grad(ABSGD(lam, gamma=1.0)(losses), weight)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-14)


def test_the_gradient_is_right_with_the_weights_held_constant() -> None:
    losses = losses_of(1, 6)[0].requires_grad_()
    p = ABSGD(0.8, 0.3).weigh(losses)
    assert torch.autograd.gradcheck(lambda loss: (p * loss).mean(), losses)
    (got,) = torch.autograd.grad(ABSGD(0.8, 0.3)(losses), losses)
    torch.testing.assert_close(got, p / 6, rtol=1e-15, atol=0)


@cases("dtype", [torch.float32, torch.float64])
@cases("kept", [None, torch.arange(37) % 3 > 0], ids=["all", "masked"])
@cases("lam", [math.inf, -math.inf, switch(0.8, math.inf, 5.0)])
@cases("progress", [0.5, torch.tensor(0.5)], ids=["float", "tensor"])
def test_infinite_lam_is_the_plain_mean_bit_for_bit_and_leaves_s_alone(lam, progress, kept, dtype) -> None:
    weights = ABSGD(lam, 0.1, init="zero", alpha=0.5, uniform=1.0)
    before = {name: value.clone() for name, value in weights.state_dict().items()}
    for losses in losses_of(5, 37, dtype=dtype):
        assert torch.equal(weights(losses, kept=kept, progress=progress), Mean()(losses, kept=kept))
    assert all(torch.equal(before[name], value) for name, value in weights.state_dict().items())


def test_a_large_lam_nears_the_mean_and_a_small_one_the_worst_or_the_best_example() -> None:
    losses = torch.tensor([0.3, 2.0, 1.1, 0.2], dtype=torch.float64)
    for sign in (1, -1):
        assert ABSGD(sign * 1e9, 1.0)(losses).item() == pytest.approx(losses.mean().item(), rel=1e-8)
    assert ABSGD(1e-3, 1.0)(losses).item() == pytest.approx(2.0, rel=1e-12)
    assert ABSGD(1e-3, 1.0).weigh(losses).tolist() == pytest.approx([0, 4, 0, 0], abs=1e-12)
    assert ABSGD(-1e-3, 1.0)(losses).item() == pytest.approx(0.2, rel=1e-12)
    assert ABSGD(-1e-3, 1.0).weigh(losses).tolist() == pytest.approx([0, 0, 0, 4], abs=1e-12)


def test_gamma_1_is_the_tilt_of_the_batch() -> None:
    for losses in losses_of(4, 8):
        torch.testing.assert_close(ABSGD(-2.5, 1.0).weigh(losses), TERM(-0.4).weigh(losses), rtol=1e-13, atol=0)


@cases("lam", [0.1, -0.1, 5.0])
@cases("gamma", [0.01, 0.5, 1.0])
@cases("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_never_nan_nor_infinite(lam: float, gamma: float, dtype: torch.dtype) -> None:
    weights = ABSGD(lam, gamma)
    for scale in (1e4, 1e-4, 1.0, 1e4, 60.0, 0.0):
        losses = (scale * torch.linspace(0, 1, 128)).to(dtype).requires_grad_()
        loss = weights(losses)
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        assert losses.grad.isfinite().all()
        assert weights.last.isfinite().all()
        assert weights.log_s.isfinite()


@pytest.mark.parametrize("lam", [0.1, -0.1])
def test_never_nan_under_bfloat16_autocast(lam: float) -> None:
    network, weights = torch.nn.Linear(3, 4), ABSGD(lam)
    for scale in (1e4, 1.0, 1e5):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(scale * torch.eye(3))
            loss = weights(torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2]), reduction="none"))
        loss.backward()
        assert loss.isfinite()
        assert network.weight.grad.isfinite().all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("lam", [1.0, -1.0])
def test_a_loss_that_is_not_finite_shows_in_the_scalar_and_spoils_no_state(bad: float, lam: float) -> None:
    weights, without = ABSGD(lam), ABSGD(lam)
    good = torch.tensor([1.0, 2.0, 3.0])
    loss = weights(torch.cat([good, torch.tensor([bad])]))
    without(good)
    assert not loss.isfinite()
    assert torch.equal(weights.log_s, without.log_s)
    assert weights(good).isfinite()


def test_what_is_not_kept_may_be_anything() -> None:
    weights, alone = ABSGD(0.5), ABSGD(0.5)
    kept = torch.tensor([True, False, True, False])
    losses = torch.tensor([1.0, torch.nan, 3.0, torch.inf], requires_grad=True)
    loss = weights(losses, kept=kept)
    loss.backward()
    assert torch.equal(loss.detach(), alone(torch.tensor([1.0, 3.0])))
    assert losses.grad.isfinite().all()
    assert torch.equal(weights.log_s, alone.log_s)
    assert weights.last[~kept].tolist() == [0, 0]


def test_nothing_stays_in_the_graph() -> None:
    weights, parameter = ABSGD(1.0), torch.ones(3, requires_grad=True)
    for _ in range(3):
        weights(parameter * torch.tensor([1.0, 2.0, 3.0])).backward()
    assert all(not value.requires_grad for value in [*weights.buffers(), weights.last])


def test_micro_batches_move_s_as_one_batch() -> None:
    """Of any sizes; the update differs, since each micro-batch is weighed when it is seen."""
    whole, parts = ABSGD(1.5, 0.4), ABSGD(1.5, 0.4, accumulate=3)
    for losses in losses_of(6, 12):
        whole(losses)
        for part in losses.split([5, 1, 6]):
            parts(part)
        torch.testing.assert_close(parts.log_s, whole.log_s, rtol=1e-14, atol=0)
        torch.testing.assert_close(parts.last, whole.last[6:], rtol=1e-13, atol=0)  # the last has seen them all


def test_a_short_last_step_is_ended_by_hand() -> None:
    whole, parts = ABSGD(1.5, 0.4), ABSGD(1.5, 0.4, accumulate=4)
    for losses in losses_of(3, 8):
        whole(losses)
        for part in losses.split(4):
            parts(part)
        parts.end_step()
    torch.testing.assert_close(parts.log_s, whole.log_s, rtol=1e-14, atol=0)
    before = parts.log_s.clone()
    parts.end_step()
    assert torch.equal(parts.log_s, before)
