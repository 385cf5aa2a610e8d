"""EG that begins late: an infinite tau is the plain mean and remembers nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.cases import cases
from torch import Tensor

from longtail.facts.schedules import Schedule, linear, steps, switch
from longtail.instance_weights import EG, Mean

LATE = switch(0.5, math.inf, 0.7)


def some(seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return 3 * torch.rand(37, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("progress", [0.4, torch.tensor(0.4)])
def test_an_infinite_tau_is_the_mean_bit_for_bit_and_moves_no_memory(persistent: bool, progress: Any) -> None:
    weights = EG(LATE, persistent, size=37, memory=0.5)
    if weights.log_v is not None:
        weights.log_v.copy_(-some(9))
    before = None if weights.log_v is None else weights.log_v.clone()
    losses, index = some().requires_grad_(), torch.arange(37)
    for kept in (None, index % 3 > 0):
        found = weights(losses, index=index, kept=kept, progress=progress)
        plain = Mean()(losses, kept=kept)
        assert found.equal(plain)
        (gradient,) = torch.autograd.grad(found, losses)
        assert gradient.equal(torch.autograd.grad(plain, losses)[0])
    assert before is None or weights.log_v.equal(before)
    assert EG(math.inf).weigh(losses).equal(torch.ones(37))


@pytest.mark.parametrize("progress", [0.5, torch.tensor(0.5)])
@pytest.mark.parametrize("persistent", [False, True])
def test_from_then_on_it_is_that_of_its_tau(persistent: bool, progress: Any) -> None:
    late, plain = (EG(tau, persistent, size=37, memory=0.5) for tau in (LATE, 0.7))
    index = torch.arange(37)
    late.weigh(some(), index=index, progress=type(progress)(0.0) if isinstance(progress, float) else 0 * progress)
    for seed in (1, 2):
        p = late.weigh(some(seed), index=index, progress=progress)
        torch.testing.assert_close(p, plain.weigh(some(seed), index=index), rtol=1e-6, atol=0)
    assert p.max() > 2 * p.min()


def test_a_loss_that_is_infinite_stays_so_and_is_not_remembered() -> None:
    losses, index = torch.tensor([1.0, math.inf, math.nan]), torch.arange(3)
    weights = EG(steps((0.5,), (math.inf, 1.0)), True, size=3)
    for progress in (0.0, torch.tensor(0.0)):
        assert weights.weigh(losses, index=index, progress=progress).tolist() == [1, 1, 1]
        assert not weights(losses, index=index, progress=progress).isfinite()
    assert weights.log_v is not None
    assert weights.log_v.tolist() == [0, 0, 0]


@cases(
    ("tau", "message"),
    [
        (linear(math.inf, 1.0), r"tau must stay finite where it moves smoothly, got linear\(inf, 1.0\); jump with"),
        (switch(0.5, math.inf, 0.0), "tau must be > 0, got 0"),
        (-1.0, "tau must be > 0, got -1"),
    ],
)
def test_a_tau_that_would_be_no_number_is_refused(tau: float | Schedule, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EG(tau)


def test_rows_are_asked_for_from_the_start() -> None:
    with pytest.raises(TypeError, match="EG with memory reads index, got None"):
        EG(LATE, True, size=3)(torch.ones(2), progress=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("progress", [0.2, 0.7])
def test_it_compiles_whole(progress: float) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(EG(LATE), backend="aot_eager", fullgraph=True)
    for value in (progress, torch.tensor(progress)):
        torch.testing.assert_close(compiled(some(), progress=value), EG(LATE)(some(), progress=value))
