"""The semi-supervised and the pair learner: their formulas, what they remember, and what they leave."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.cases import cases
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs
from longtail.learners import SemiSupervisedLearner
from longtail.learners.fixmatch import FixMatch
from longtail.learners.semi import Views
from longtail.losses import CrossEntropyLoss, LDAMLoss
from longtail.models import Network, Standardize
from longtail.targets import Guess, Refinement


class Recorder(Refinement):
    """The guess as it is; records its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Any, Outputs]] = []

    def forward(self, batch: Batch, guess: Tensor, outputs: Outputs, progress: Any) -> Tensor:
        self.calls.append(("call", batch, outputs))
        assert guess.equal(outputs.logits[0].softmax(1))
        return guess

    def observe(self, batch: Batch, outputs: Outputs, progress: Any) -> None:
        self.calls.append(("observe", batch, outputs))

    def refresh(self, data: Any, progress: Any) -> None:
        self.calls.append(("refresh", data, progress))


class Half(nn.Module):
    """The largest class, at half weight."""

    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        return labels.argmax(1), torch.full((len(labels),), 0.5)


def batch() -> Batch:
    torch.manual_seed(1)
    rest = Batch(inputs=(torch.randn(6, 4), torch.randn(6, 4)), index=torch.arange(6))
    targets = torch.tensor([0, 1, 2, 0, 0])
    return Batch(inputs=torch.randn(5, 4), targets=targets, index=torch.arange(5), unlabeled=rest)


def semi(consistency: float = 1.0, **slots: Any) -> SemiSupervisedLearner:
    torch.manual_seed(0)
    return SemiSupervisedLearner(
        nn.Linear(4, 3), slots.pop("loss", CrossEntropyLoss()), FixMatch(consistency), Guess(), Half(), **slots
    )


def test_the_loss_is_the_labelled_one_and_the_mean_over_all_unlabelled_rows() -> None:
    learner, data = semi(consistency=2.0), batch()
    step = learner.training_step(data, 0.0)
    weak, strong = (learner.network(x) for x in data["unlabeled"]["inputs"])
    labelled = F.cross_entropy(learner.network(data["inputs"]), data["targets"])
    unlabelled = 0.5 * F.cross_entropy(strong, weak.argmax(1))  # masks divide by all rows
    torch.testing.assert_close(step.loss, labelled + 2.0 * unlabelled)
    torch.testing.assert_close(step.log["consistency"], unlabelled.detach())


def test_targets_are_told_the_weak_view_without_its_graph_and_again_after_the_update() -> None:
    learner, data = semi(targets=Recorder()), batch()
    learner.start_epoch([], 0.0)  # type: ignore[arg-type]
    step = learner.training_step(data, 0.0)
    learner.after_update(data, step, 0.0)
    words, batches, outputs = zip(*learner.targets.calls, strict=True)  # type: ignore[arg-type]
    assert words == ("refresh", "call", "observe")
    assert batches[1] is batches[2] is data["unlabeled"]
    assert not outputs[1].logits.requires_grad
    assert outputs[2].logits.equal(outputs[1].logits)


@cases(("decay", "after"), [(0.75, 1.0 - 0.1), (0.05, 1.0 - 0.05)])
def test_the_average_follows_and_predicts(decay: float, after: float) -> None:
    """The first step's factor is 1 / 10, or the decay where that is smaller."""
    learner, data = semi(decay=decay), batch()
    before = copy.deepcopy(learner.network)
    with torch.no_grad():
        learner.network.weight += 1.0
    step = learner.training_step(data, 0.0)
    with learner.held():
        learner.after_update(data, step, 0.0)
    assert learner.average.weight.equal(before.weight)
    learner.after_update(data, step, 0.0)
    torch.testing.assert_close(learner.average.weight, before.weight + after)
    assert learner.predict(data["inputs"]).equal(learner.average(data["inputs"]))
    assert {id(p) for p in learner.trainable()[0]["params"]} == {id(p) for p in learner.network.parameters()}


def test_the_average_step_by_step() -> None:
    """In plain numbers: the factor grows as (1 + t) / (10 + t) up to the decay."""
    learner, data = semi(decay=0.5), batch()
    step = learner.training_step(data, 0.0)
    expected = learner.network.weight[0, 0].item()
    for t in range(30):
        with torch.no_grad():
            learner.network.weight += 0.1
        learner.after_update(data, step, 0.0)
        factor = min(0.5, (1 + t) / (10 + t))
        expected = factor * expected + (1 - factor) * learner.network.weight[0, 0].item()
        assert learner.average.weight[0, 0].item() == pytest.approx(expected, rel=1e-5)


def test_no_decay_is_the_network_itself() -> None:
    learner, data = semi(decay=0.0), batch()
    with torch.no_grad():
        learner.network.weight += 1 / 3
    learner.after_update(data, learner.training_step(data, 0.0), 0.0)
    assert learner.average.weight.equal(learner.network.weight)


def test_scores_are_scaled_as_the_loss_says() -> None:
    learner, data = semi(loss=LDAMLoss([5, 3, 2], scale=10.0)), batch()
    torch.testing.assert_close(learner.predict(data["inputs"]), 10.0 * learner.average(data["inputs"]))


class Second(nn.Module):
    """A second classifier on the features: cross-entropy of the labelled rows and of the first view's own class."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.head, self.weight = nn.Linear(5, 3), weight

    def forward(self, batch: Batch, views: Views, progress: Any) -> tuple[Tensor, dict[str, Tensor]]:
        assert not views.weak.logits.requires_grad
        (other,) = views.others
        first = F.cross_entropy(self.head(views.labelled.features), batch["targets"])
        second = F.cross_entropy(self.head(other.features), self.head(views.weak.features).argmax(1))
        return self.weight * (first + second), {"second": second.detach()}

    def predictor(self, network: Any) -> nn.Module:
        return network.with_head(self.head)


def deep(auxiliary: nn.Module | None) -> SemiSupervisedLearner:
    torch.manual_seed(0)
    network = Network(Standardize(4), nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU()), nn.Linear(5, 3))
    return SemiSupervisedLearner(
        network, CrossEntropyLoss(), FixMatch(), Guess(), Half(), auxiliary=auxiliary, decay=0.5
    )


def taken_steps(learner: SemiSupervisedLearner) -> dict[str, Tensor]:
    data, optimizer = batch(), torch.optim.SGD(learner.trainable(), lr=0.1)
    for _ in range(3):
        step = learner.training_step(data, 0.0)
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
        learner.after_update(data, step, 0.0)
    return learner.state_dict()


def test_an_auxiliary_part_adds_its_loss_to_the_features_and_predicts() -> None:
    learner, data = deep(Second()), batch()
    plain = deep(None).training_step(data, 0.0)
    step = learner.training_step(data, 0.0)
    assert step.loss > plain.loss
    assert step.log["second"] > 0
    before = learner.auxiliary_average.head.weight.clone()  # type: ignore[union-attr]
    taken_steps(learner)
    after, trained = learner.auxiliary_average.head.weight, learner.auxiliary.head.weight  # type: ignore[union-attr]
    assert not after.equal(before)
    assert not after.equal(trained)
    features = learner.eval().average(data["inputs"]).features
    assert learner.predict(data["inputs"]).equal(learner.auxiliary_average.head(features))  # type: ignore[union-attr]


def test_an_auxiliary_part_of_weight_0_leaves_the_network_bit_for_bit_and_of_weight_1_not() -> None:
    alone = taken_steps(deep(None))
    without, with_it = (taken_steps(deep(Second(weight))) for weight in (0.0, 1.0))
    assert all(value.equal(without[name]) for name, value in alone.items())
    assert not with_it["average.body.0.weight"].equal(alone["average.body.0.weight"])


def test_another_target_leaves_everything_else(  # a slot that is forgotten is dropped without a word
) -> None:
    learner = semi(consistency=2.0, decay=0.5, no_decay=("bias",))
    other = learner.varied(targets=Recorder())
    assert other.targets is not learner.targets
    for slot in ("network", "loss", "host", "guess", "use", "auxiliary", "decay", "average", "no_decay"):
        assert getattr(other, slot) is getattr(learner, slot)
