"""The learner of two views: its passes, its average, and each part in its turn."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from longtail.facts.schedules import linear
from longtail.facts.types import Batch, Outputs, as_outputs
from longtail.learners import PairLearner
from longtail.learners.branches import Shared


class Distance(nn.Module):
    """t times the squared distance of the views."""

    momentum: Any = None
    symmetric = True

    def __init__(self, t: Any = 0.5, **attributes: Any) -> None:
        super().__init__()
        self.t = t
        self.seen: list[Any] = []
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, compared: Any, batch: Any, t: Any, progress: Any) -> torch.Tensor:
        self.seen.append(compared)
        gap: torch.Tensor = (compared.first.logits - compared.other.logits).square().sum(1)
        return gap if t is None else t * gap


class Recorder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def start_epoch(self, learner: Any, data: Any, progress: Any) -> None:
        self.calls.append(("start", learner, progress))

    def after_update(self, batch: Any, step: Any, progress: Any) -> None:
        self.calls.append(("after", step.outputs.extra["losses"].clone()))

    def epoch_record(self) -> dict[str, Any]:
        return {"calls": len(self.calls)}


class Half(nn.Module):
    def forward(self, compared: Any, batch: Any, progress: Any) -> Any:
        more = compared.first.logits.sum(1)
        return more, {"half": more.mean().detach()}


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.fixture
def batch() -> Batch:
    first, second = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1)).unbind()
    return Batch(inputs=(first, second), index=torch.arange(6))


def test_a_pair_is_compared_in_one_pass(network: Any, batch: Any) -> None:
    learner, before = PairLearner(network, Distance()), copy.deepcopy(network)
    step = learner.training_step(batch, 0.0)
    z1, z2 = before(torch.cat(batch["inputs"])).chunk(2)  # of the statistics of both
    torch.testing.assert_close(step.losses, 0.5 * (z1 - z2).square().sum(1))
    assert step.loss.item() == pytest.approx(step.losses.mean().item())
    assert int(network[1].num_batches_tracked) == 1
    assert learner.inference().network is network
    assert learner.average is None


def test_or_in_a_pass_for_each_view(network: Any, batch: Any) -> None:
    learner, before = PairLearner(network, Distance(), branch=Shared("split")), copy.deepcopy(network)
    step = learner.training_step(batch, 0.0)
    z1, z2 = (before(view) for view in batch["inputs"])
    torch.testing.assert_close(step.losses, 0.5 * (z1 - z2).square().sum(1))
    assert int(network[1].num_batches_tracked) == 2


def test_an_asymmetric_host_sees_the_second_view_by_the_average_alone(network: Any, batch: Any) -> None:
    host = Distance(momentum=0.9, symmetric=False)
    learner, before = PairLearner(network, host), copy.deepcopy(network)
    step = learner.training_step(batch, 0.0)
    compared = host.seen[-1]
    assert compared.second is None
    assert compared.first_key is None
    z1, z2 = (before(view) for view in batch["inputs"])
    torch.testing.assert_close(compared.first.logits, z1)
    torch.testing.assert_close(compared.other.logits, z2)
    assert not compared.other.logits.requires_grad
    assert step.outputs.extra["keys"].equal(compared.second_key.logits)
    assert [int(n[1].num_batches_tracked) for n in (network, learner.average)] == [1, 1]


def test_the_average_follows_after_the_update_and_not_while_held(network: Any, batch: Any) -> None:
    learner = PairLearner(network, Distance(momentum=linear(0.5, 1.0)))
    start = [p.clone() for p in learner.average.parameters()]
    step = learner.training_step(batch, 0.0)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1.0)
    with learner.held():
        learner.after_update(batch, step, 0.0)
    assert all(p.equal(s) for p, s in zip(learner.average.parameters(), start, strict=True))
    learner.after_update(batch, step, 0.5)
    for mean, s, p in zip(learner.average.parameters(), start, network.parameters(), strict=True):
        torch.testing.assert_close(mean, 0.75 * s + 0.25 * p)
        assert not mean.requires_grad
    assert {id(p) for group in learner.trainable() for p in group["params"]} == {id(p) for p in network.parameters()}


def test_a_temperature_stands_in_for_the_hosts_own(network: Any, batch: Any) -> None:
    plain = PairLearner(network, Distance(0.5))
    varied = plain.varied(temperature=linear(1.0, 3.0))
    ratio = varied.training_step(batch, 0.5).loss / plain.training_step(batch, 0.5).loss
    assert ratio.item() == pytest.approx(4.0)
    with pytest.raises(ValueError, match=r"^temperature must be left out for Distance, which has none, got 0.5"):
        PairLearner(network, Distance(None), temperature=0.5)


def test_parts_beside_the_host_add_their_losses_and_are_called_in_turn(network: Any, batch: Any) -> None:
    memory = Recorder()
    plain = PairLearner(network, Distance())
    learner = plain.varied(auxiliary=Half(), memories=[memory])
    step, alone = learner.training_step(batch, 0.0), plain.training_step(batch, 0.0)
    z1 = as_outputs(step.outputs).logits
    torch.testing.assert_close(step.losses, alone.losses + z1.sum(1))
    assert step.log["half"].item() == pytest.approx(z1.sum(1).mean().item())
    learner.start_epoch(None, 0.25)  # type: ignore[arg-type]
    learner.after_update(batch, step, 0.25)
    assert memory.calls[0] == ("start", learner, 0.25)
    torch.testing.assert_close(memory.calls[1][1], alone.losses.detach())  # the host's alone
    assert learner.epoch_record() == {"calls": 2}


def test_every_slot_is_kept_when_another_is_exchanged(network: Any) -> None:
    learner = PairLearner(network, Distance(momentum=0.9), temperature=0.3, memories=[Recorder()], no_decay=("1.bias",))
    other = learner.varied(auxiliary=Half())
    for slot in ("network", "host", "branch", "temperature", "average", "no_decay"):
        assert getattr(other, slot) is getattr(learner, slot)
    assert list(other.memories) == list(learner.memories)


def test_outputs_of_the_first_view_carry_features(batch: Any) -> None:
    class Features(nn.Module):
        def forward(self, x: torch.Tensor) -> Outputs:
            return Outputs(x * 2, x)

    step = PairLearner(Features(), Distance()).training_step(batch, 0.0)
    assert step.outputs is not None
    assert step.outputs.features is not None
    assert step.outputs.features.equal(batch["inputs"][0])
