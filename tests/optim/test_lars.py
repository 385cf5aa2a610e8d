"""LARS against its equations number by number, and its state."""

from __future__ import annotations

import math
import pickle
from copy import deepcopy
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.methods.recorded_step import recording
from torch import Tensor, nn

from longtail.optim import LARS

STEPS, MOMENTUM, DECAY, ETA = 12, 0.9, 0.01, 0.05
X = torch.randn(STEPS, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randint(3, (STEPS, 6), generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).double()


def walk(model: nn.Module, optimizer: torch.optim.Optimizer, first: int = 0, last: int = STEPS) -> None:
    for t in range(first, last):
        optimizer.param_groups[0]["lr"] = lr_at(t)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[t]), Y[t]).backward()
        optimizer.step()


def lr_at(t: int) -> float:
    return 2.0 / (1 + t)


def by_hand(model: nn.Module, vectors: bool) -> None:
    """The equations, one number after the other."""
    v = {name: [0.0] * p.numel() for name, p in model.named_parameters()}
    for t in range(STEPS):
        model.zero_grad()
        nn.functional.cross_entropy(model(X[t]), Y[t]).backward()
        for name, p in model.named_parameters():
            w, g = p.detach().flatten().tolist(), p.grad.flatten().tolist()
            rate, decay = 1.0, 0.0
            if vectors or p.ndim > 1:
                length, slope = math.sqrt(sum(x * x for x in w)), math.sqrt(sum(x * x for x in g))
                rate, decay = (ETA * length / (slope + DECAY * length) if length and slope else 1.0), DECAY
            v[name] = [MOMENTUM * a + lr_at(t) * rate * (b + decay * c) for a, b, c in zip(v[name], g, w, strict=True)]
            new = torch.tensor([c - a for c, a in zip(w, v[name], strict=True)], dtype=torch.float64)
            p.data.copy_(new.reshape(p.shape))


def lars(model: nn.Module, **options: Any) -> LARS:
    return LARS(model.parameters(), 1.0, **{"momentum": MOMENTUM, "weight_decay": DECAY, "eta": ETA} | options)


@cases("vectors", [False, True])
def test_a_step_is_that_of_the_equations(vectors: bool) -> None:
    ours, theirs = network(), network()
    walk(ours, lars(ours, vectors=vectors))
    by_hand(theirs, vectors)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_zero_weights_move_and_zero_gradients_only_go_on() -> None:
    w = torch.zeros(2, 2, requires_grad=True)
    optimizer = LARS([w], 0.5, momentum=0.5, weight_decay=0.1)
    for gradient, expected in ((1.0, -0.5), (0.0, -0.5 - 0.25 + 0.5 * 0.1 * 0.5)):
        w.grad = torch.full((2, 2), gradient)
        optimizer.step()
        torch.testing.assert_close(w.detach(), torch.full((2, 2), expected))


def test_the_step_of_a_layer_does_not_depend_on_the_size_of_its_gradient() -> None:
    w = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradient, ends = torch.randn_like(w), []
    for size in (1.0, 1e6):
        p = w.clone().requires_grad_()
        p.grad = size * gradient
        LARS([p], 1.0).step()
        ends.append(p.detach())
    torch.testing.assert_close(*ends)
    assert float((ends[0] - w).norm() / w.norm()) == pytest.approx(0.001)


def test_the_state_goes_on_to_the_bit() -> None:
    whole, cut = network(), network()
    walk(whole, lars(whole))
    first = lars(cut)
    walk(cut, first, 0, 5)
    resumed = network()
    resumed.load_state_dict(cut.state_dict())
    second = lars(resumed)
    second.load_state_dict(pickle.loads(pickle.dumps(deepcopy(first.state_dict()))))
    walk(resumed, second, 5)
    assert all(a.equal(b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_frozen_parameter_stays_and_groups_have_their_own_values() -> None:
    model = network()
    model[3].requires_grad_(False)
    before = model[3].weight.clone()
    groups = [{"params": model[0].parameters(), "weight_decay": 0.0}, {"params": model[3].parameters()}]
    walk(model, LARS(groups, 1.0))
    assert model[3].weight.equal(before)


def test_a_step_waits_for_nothing_and_takes_its_rate_as_a_tensor() -> None:
    ends: list[list[Tensor]] = []
    for lr in (0.3, torch.tensor(0.3, dtype=torch.float64)):
        model = network()
        nn.functional.cross_entropy(model(X[0]), Y[0]).backward()
        optimizer = LARS(model.parameters(), lr)
        with recording() as recorded:
            optimizer.step()
        assert recorded.waits == []
        ends.append([p.detach() for p in model.parameters()])
    assert all(a.equal(b) for a, b in zip(*ends, strict=True))


@cases("infinite", [False, True])
def test_scaled_gradients_are_unscaled_and_a_step_that_overflows_changes_nothing(infinite: bool) -> None:
    ours, theirs = network(), network()
    for model, scale in ((ours, 8.0), (theirs, 1.0)):
        (scale * nn.functional.cross_entropy(model(X[0]), Y[0])).backward()
    plain, scaled = LARS(theirs.parameters(), 0.1), LARS(ours.parameters(), 0.1)
    scaled.grad_scale, scaled.found_inf = torch.tensor(8.0), torch.tensor(float(infinite))  # type: ignore[attr-defined]
    before = [p.detach().clone() for p in ours.parameters()]
    scaled.step()
    plain.step()
    for p, start, other in zip(ours.parameters(), before, theirs.parameters(), strict=True):
        torch.testing.assert_close(p.detach(), start if infinite else other.detach(), rtol=1e-12, atol=0)


@cases(("options", "line"), [
    ({"lr": -1.0}, "lr must be >= 0, got -1.0"),
    ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
    ({"weight_decay": -0.1}, "weight_decay must be >= 0, got -0.1"),
    ({"eta": 0.0}, "eta must be > 0, got 0.0"),
])  # fmt: skip
def test_bad_values_are_one_line(options: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        LARS(network().parameters(), **options)
