"""The update of a supervised learner whose weights come from a look-ahead: what it trains, and what it leaves alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longtail import losses
from longtail.facts.types import Batch
from longtail.learners import SupervisedLearner
from longtail.updates import Descend, LearningToReweight, MetaResidual, MetaWeightNet, Reweight


def rows(seed: int, size: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(size, 4, generator=generator)
    return Batch(inputs=inputs, targets=torch.arange(size) % 3, index=torch.arange(size))


def batch() -> Batch:
    return Batch(**rows(0, 12), meta=rows(1, 6))


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, 3))


def learner(loss: losses.Loss | None = None, **slots: Any) -> SupervisedLearner:
    return SupervisedLearner(network(), losses.CrossEntropyLoss() if loss is None else loss, **slots)


def stepped(start: SupervisedLearner, update: Any, steps: int = 1, progress: float = 0.0) -> dict[str, Tensor]:
    trained = copy.deepcopy(start).train()
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(steps):
        update(trained, batch(), optimizer, progress)
    return {name: value for name, value in trained.state_dict().items() if isinstance(value, Tensor)}


UPDATES = [LearningToReweight, MetaWeightNet, MetaResidual]


@pytest.mark.parametrize("kind", UPDATES)
def test_batch_norms_record_the_training_batch_once_and_the_meta_batch_not(kind: Any) -> None:
    plain, ours = stepped(learner(), Descend()), stepped(learner(), Reweight(kind()))
    assert int(ours["network.1.num_batches_tracked"]) == 1
    assert ours["network.1.running_mean"].equal(plain["network.1.running_mean"])
    assert ours["network.1.running_var"].equal(plain["network.1.running_var"])


@pytest.mark.parametrize("kind", UPDATES)
def test_frozen_parameters_do_not_move_and_the_others_do(kind: Any) -> None:
    start = learner(frozen=["0"])
    ours = stepped(start, Reweight(kind()))
    assert ours["network.0.weight"].equal(start.network.get_parameter("0.weight"))
    assert not ours["network.3.weight"].equal(start.network.get_parameter("3.weight"))


def test_the_residual_before_its_start_is_the_plain_step() -> None:
    plain, ours = stepped(learner(), Descend(), 3), stepped(learner(), Reweight(MetaResidual(start=0.8)), 3)
    for name, value in plain.items():
        torch.testing.assert_close(ours[name], value)


def test_the_meta_loss_is_cross_entropy_of_the_scores_whatever_the_loss() -> None:
    counts = torch.tensor([50, 20, 3])
    start = learner(losses.LDAMLoss(counts, scale=5.0, class_weight="effective"))
    seen: list[Tensor] = []

    class Seen(MetaResidual.__base__):  # type: ignore[name-defined, misc]
        def plain(self, losses: Tensor, targets: Any, progress: Any) -> Tensor:
            return torch.ones_like(losses)

        improved = plain

        def forward(self, losses: Any, model: nn.Module, optimizer: Any, meta_loss: Any, **more: Any) -> Tensor:
            each: Tensor = losses(model)
            seen.append(meta_loss(model))
            self.last = torch.ones_like(each)
            return each.mean()

    stepped(start, Reweight(Seen()))
    model = copy.deepcopy(start.network).train()
    model(batch()["inputs"])
    meta = batch()["meta"]
    torch.testing.assert_close(seen[0], F.cross_entropy(5.0 * model(meta["inputs"]), meta["targets"]))


def test_the_step_has_the_weights_in_its_log_and_the_weighted_mean_as_its_loss() -> None:
    trained = learner().train()
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    step = Reweight(LearningToReweight())(trained, batch(), optimizer, 0.0)
    assert step.losses is not None
    torch.testing.assert_close(step.loss, (step.log["weights"] * step.losses).mean())
    assert step.log["weights"].mean() == pytest.approx(1)


def test_the_curve_of_the_net_is_in_the_record_of_an_epoch() -> None:
    update = Reweight(MetaWeightNet())
    stepped(learner(), update)
    assert set(update.epoch_record()["weight_net"]) == {"losses", "weights"}
    assert Reweight(LearningToReweight()).epoch_record() == {}
