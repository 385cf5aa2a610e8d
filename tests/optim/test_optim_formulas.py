"""The optimisers take the paper's steps: eq. 2 with momentum, eq. 9 for Adam, torch's own elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from longtail import instance_weights, optim
from longtail.facts.schedules import switch

STEPS, LAM, GAMMA, LR, DECAY = 15, 0.8, 0.3, 0.05, 0.01
X = torch.randn(STEPS, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randint(3, (STEPS, 6), generator=torch.Generator().manual_seed(1))


def start() -> Tensor:
    return torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)


def losses_at(w: Tensor, t: int) -> Tensor:
    return nn.functional.cross_entropy(X[t] @ w, Y[t], reduction="none")


class ByHand:
    """G_t = (1/B) sum_i p_i grad l_i, with one gradient per example and s by its definition."""

    def __init__(self, lam: float = LAM, gamma: float = GAMMA) -> None:
        self.lam, self.gamma, self.s = lam, gamma, 0.0

    def __call__(self, w: Tensor, t: int) -> Tensor:
        w = w.clone().requires_grad_()
        losses = losses_at(w, t)
        e = [math.exp(loss / self.lam) for loss in losses.tolist()]
        g = sum(e) / len(e)
        self.s = g if t == 0 else (1 - self.gamma) * self.s + self.gamma * g
        rows = [torch.autograd.grad(loss, w, retain_graph=True)[0] for loss in losses]
        return sum(e_i / self.s * row for e_i, row in zip(e, rows, strict=True)) / len(rows)


def run(build, lr_at=None) -> tuple[list[Tensor], torch.optim.Optimizer]:
    w = start().requires_grad_()
    optimizer, path = build([w]), []
    for t in range(STEPS):
        if lr_at is not None:
            optimizer.param_groups[0]["lr"] = lr_at(t)
        optimizer.step(lambda t=t: losses_at(w, t))
        path.append(w.detach().clone())
    return path, optimizer


def same(path: list[Tensor], wanted: list[Tensor]) -> None:
    for got, expected in zip(path, wanted, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-12)


def heavy_ball(lr_at, lam: float = LAM) -> list[Tensor]:
    """The paper's eq. 2: w_{t+1} = w_t - lr (G_t + decay w_t) + beta (w_t - w_{t-1})."""
    gradient, w, before, path = ByHand(lam), start(), start(), []
    for t in range(STEPS):
        w, before = w - lr_at(t) * (gradient(w, t) + DECAY * w) + 0.9 * (w - before), w
        path.append(w)
    return path


@pytest.mark.parametrize("lam", [LAM, -LAM])
def test_absgd_is_equation_2_at_a_constant_learning_rate(lam: float) -> None:
    path, _ = run(lambda p: optim.ABSGD(p, LR, lam=lam, gamma=GAMMA, momentum=0.9, weight_decay=DECAY))
    same(path, heavy_ball(lambda t: LR, lam))


def test_absgd_differs_from_equation_2_when_the_learning_rate_drops_as_torch_does() -> None:
    def lr_at(t: int) -> float:
        return LR if t < 8 else LR / 10

    path, _ = run(lambda p: optim.ABSGD(p, lam=LAM, gamma=GAMMA, momentum=0.9, weight_decay=DECAY), lr_at)
    paper = heavy_ball(lr_at)
    same(path[:8], paper[:8])
    assert (path[8] - paper[8]).abs().max() > 1e-3
    gradient, w, v, torchs = ByHand(), start(), torch.zeros(4, 3, dtype=torch.float64), []
    for t in range(STEPS):
        v = 0.9 * v + gradient(w, t) + DECAY * w
        w = w - lr_at(t) * v
        torchs.append(w)
    same(path, torchs)


def test_abadam_is_equation_9() -> None:
    path, _ = run(lambda p: optim.ABAdam(p, LR, lam=LAM, gamma=GAMMA, betas=(0.8, 0.99), eps=1e-2, weight_decay=DECAY))
    gradient, w, h, v, wanted = ByHand(), start(), 0.0, 0.0, []
    for t in range(STEPS):
        g = gradient(w, t)
        h, v = 0.8 * h + 0.2 * g, 0.99 * v + 0.01 * g * g
        w = w - LR * (h / (v**0.5 + 1e-2) + DECAY * w)
        wanted.append(w)
    same(path, wanted)


def weighed(torch_optimizer, lam: float = LAM) -> list[Tensor]:
    """A torch optimiser under the weights, as anybody would write it."""
    w = start().requires_grad_()
    optimizer, weights, path = torch_optimizer([w]), instance_weights.ABSGD(lam, GAMMA), []
    for t in range(STEPS):
        optimizer.zero_grad()
        weights(losses_at(w, t)).backward()
        optimizer.step()
        path.append(w.detach().clone())
    return path


SHARED = {"lr": LR, "weight_decay": DECAY}
PAIRS = {
    "absgd": (optim.ABSGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "abadam": (optim.ABAdam, torch.optim.Adam, {"betas": (0.8, 0.99), "eps": 1e-3}),
    "abadagrad": (optim.ABAdaGrad, torch.optim.Adagrad, {"lr_decay": 0.1, "eps": 1e-3}),
    "abrmsprop": (optim.ABRMSProp, torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-3, "momentum": 0.5}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_each_is_torchs_optimiser_under_the_weights(name: str) -> None:
    ours, torchs, own = PAIRS[name]
    stock = {"stock": True} if name == "abadam" else {}
    path, _ = run(lambda p: ours(p, lam=LAM, gamma=GAMMA, **SHARED, **own, **stock))
    wanted = weighed(lambda p: torchs(p, **SHARED, **own))
    assert all(torch.equal(a, b) for a, b in zip(path, wanted, strict=True))


@pytest.mark.parametrize("name", PAIRS)
def test_infinite_lam_is_torchs_optimiser_bit_for_bit(name: str) -> None:
    ours, torchs, own = PAIRS[name]
    stock = {"stock": True} if name == "abadam" else {}
    path, _ = run(lambda p: ours(p, lam=math.inf, **SHARED, **own, **stock))
    w = start().requires_grad_()
    optimizer = torchs([w], **SHARED, **own)
    for t in range(STEPS):
        optimizer.zero_grad()
        losses_at(w, t).mean().backward()
        optimizer.step()
        assert torch.equal(path[t], w)


def test_lam_may_be_a_schedule_read_at_each_step() -> None:
    w = start().requires_grad_()
    optimizer = optim.ABSGD([w], LR, lam=switch(0.5, math.inf, 1.0))
    plain = optimizer.step(lambda: losses_at(w, 0), progress=0.25)
    assert plain == losses_at(start(), 0).mean()
    assert optimizer.weighting.last.tolist() == [1] * 6
    optimizer.step(lambda: losses_at(w, 1), progress=0.5)
    assert optimizer.weighting.last.std() > 0.01
    with pytest.raises(TypeError, match="lam is the schedule"):
        optimizer.step(lambda: losses_at(w, 2))


@pytest.mark.parametrize("name", PAIRS)
def test_init_is_the_weighting_s_and_s_restarts_with_lam(name: str) -> None:
    w = start().requires_grad_()
    optimizer = PAIRS[name][0]([w], LR, lam=switch(0.5, 5.0, 2.0), gamma=0.25, init=3.0)
    for t, (lam, progress) in enumerate([(5.0, 0.25), (2.0, 0.5)]):
        g = sum(math.exp(loss / lam) for loss in losses_at(w, t).tolist()) / 6
        optimizer.step(lambda t=t: losses_at(w, t), progress=progress)
        assert optimizer.weighting.s.item() == pytest.approx(0.75 * 3.0 + 0.25 * g, rel=1e-12)
