"""Sharpness-aware minimisation: the step of the formula, from two passes over one and the same loss."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.updates import sam_formulas
from torch import Tensor, nn

from longtail import losses
from longtail.facts.schedules import switch
from longtail.facts.types import Batch
from longtail.instance_weights import ABSGD
from longtail.learners import SupervisedLearner
from longtail.updates import SAM, Descend


def batch(dtype: torch.dtype = torch.float32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(12, 4, generator=generator, dtype=dtype)
    return Batch(inputs=inputs, targets=torch.arange(12) % 3, index=torch.arange(12))


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, 3))


def stepped(learner: SupervisedLearner, update: Any, steps: int = 3, progress: float = 0.0) -> dict[str, Tensor]:
    """The state after some steps with momentum and weight decay, from one seed."""
    learner = copy.deepcopy(learner).train()
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    torch.manual_seed(1)
    for _ in range(steps):
        learner.after_update(batch(), update(learner, batch(), optimizer, progress), progress)
    return {**learner.state_dict(), "next random number": torch.rand(1)}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items() if isinstance(value, Tensor))


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("rho", [0.0, 0.05, 1.5])
def test_is_the_step_of_the_formula(rho: float, adaptive: bool) -> None:
    rows = batch(torch.float64)
    learner = SupervisedLearner(nn.Linear(4, 3, bias=False).double(), losses.CrossEntropyLoss())
    weight: Any = learner.network.weight
    expected = sam_formulas.step(
        weight.tolist(), rows["inputs"].tolist(), rows["targets"].tolist(), 0.3, rho, adaptive
    )  # fmt: skip
    step = SAM(rho, adaptive=adaptive)(learner, rows, torch.optim.SGD(learner.parameters(), lr=0.3), 0.0)
    torch.testing.assert_close(weight.detach(), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-14)
    assert step.losses is not None
    assert len(step.losses) == 12


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("weights", [None, "absgd"])
def test_without_rho_it_is_the_plain_step_bit_for_bit_and_with_it_not(adaptive: bool, weights: str | None) -> None:
    learner = SupervisedLearner(
        network(dropout=0.4), losses.CrossEntropyLoss(), weights=None if weights is None else ABSGD(2.0)
    )
    plain = stepped(learner, Descend())
    assert same(plain, stepped(learner, SAM(0.0, adaptive=adaptive)))
    assert not same(plain, stepped(learner, SAM(0.05, adaptive=adaptive)))


def test_both_passes_have_one_dropout_and_the_next_step_begins_as_after_one_pass() -> None:
    seen: list[Tensor] = []
    model = network(dropout=0.5)
    model[2].register_forward_hook(lambda module, inputs, output: seen.append(output == 0))  # type: ignore[index, arg-type]
    learner = SupervisedLearner(model, losses.CrossEntropyLoss())
    after = stepped(learner, SAM(1e-6), steps=2)
    first, again, second, again_second = seen[-4:]
    assert first.equal(again)
    assert second.equal(again_second)
    assert not first.equal(second)
    assert after["next random number"].equal(stepped(learner, Descend(), steps=2)["next random number"])


def test_batch_norms_record_the_first_pass_alone() -> None:
    learner = SupervisedLearner(network(), losses.CrossEntropyLoss())
    plain, sharp = stepped(learner, Descend(), steps=1), stepped(learner, SAM(5.0), steps=1)
    assert int(sharp["network.1.num_batches_tracked"]) == 1
    assert sharp["network.1.running_mean"].equal(plain["network.1.running_mean"])
    assert not sharp["network.0.weight"].equal(plain["network.0.weight"])


def test_parameters_without_a_gradient_do_not_move() -> None:
    learner = SupervisedLearner(network(), losses.CrossEntropyLoss(), frozen=["0"])
    before = learner.network.get_parameter("0.weight").clone()
    assert stepped(learner, SAM(5.0))["network.0.weight"].equal(before)


def test_rho_may_be_scheduled() -> None:
    learner = SupervisedLearner(network(), losses.CrossEntropyLoss())
    deferred = SAM(switch(0.5, 0.0, 0.2))
    assert same(stepped(learner, deferred, progress=0.4), stepped(learner, Descend(), progress=0.4))
    assert same(stepped(learner, deferred, progress=0.5), stepped(learner, SAM(0.2), progress=0.5))


@pytest.mark.parametrize("rho", [-0.1, float("inf"), float("nan")])
def test_a_rho_out_of_range_is_refused(rho: float) -> None:
    with pytest.raises(ValueError, match=r"rho must be >= 0"):
        SAM(rho)
