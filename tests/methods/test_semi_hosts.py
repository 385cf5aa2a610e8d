"""Any correction over any host: without strength it is the host bit for bit, with strength it is applied."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.methods import task_data
from torch import Tensor, nn

from longtail.catalogue.compose import Change, changed_stages
from longtail.data import TrainingSet
from longtail.engine import Recipe, Training
from longtail.facts.types import Batch, Outputs, Progress
from longtail.learners.semi import Views
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.targets import Refinement

pytestmark = pytest.mark.slow  # it trains every host with every correction
RECIPE = Recipe(epochs=3, batch_size=8, lr=0.05, model="convnet", model_args={"width": 2})
ROWS = TrainingSet.of(task_data.splits("semi-supervised", shape=(8, 8)))
KNOBS = {"fixmatch": "(threshold=0.4)"}  # which some rows reach in nine steps
HOSTS = [
    key + KNOBS.get(key, "")
    for key, builder in CATALOG.items()
    if builder.__module__.startswith("longtail.methods.semi") and "base" not in (builder.__kwdefaults__ or {})
]
"""fixmatch, mixmatch, remixmatch and whatever follows them."""


class Stored(Refinement):
    """The stored mean of a row's guesses, with its classes moved on by one where `moves`."""

    def __init__(self, rows: int, classes: int, *, moves: bool, share: float) -> None:
        super().__init__()
        self.moves, self.share = moves, share
        self.register_buffer("seen", torch.zeros(rows, classes))
        self.register_buffer("calls", torch.zeros(3))

    def forward(self, batch: Batch, guess: Tensor, outputs: Outputs, progress: Progress) -> Tensor:
        index = batch["index"]
        self.seen[index] = self.seen[index].lerp(guess, self.share)
        self.calls[0] += 1
        assert outputs.logits.shape[1:] == guess.shape
        return self.seen[index].roll(1, 1) if self.moves else self.seen[index]

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        self.calls[1] += 1

    def refresh(self, data: Any, progress: Progress) -> None:
        self.calls[2] += 1


class Second(nn.Module):
    """A second classifier, trained on the labelled rows and on what the first view is taken for."""

    def __init__(self, network: Any, weight: float) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.head, self.weight = nn.Linear(network.head.in_features, 3), weight

    def forward(self, batch: Batch, views: Views, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        labels = self.head(views.weak.features).argmax(1)
        others = [F.cross_entropy(self.head(view.features), labels) for view in views.others]
        loss = F.cross_entropy(self.head(views.labelled.features), batch["targets"]) + torch.stack(others).sum()
        return self.weight * loss, {"second": loss.detach()}

    def predictor(self, network: Any) -> nn.Module:
        return network.with_head(self.head)


def refined(*, moves: bool, share: float) -> Change:
    def change(built: Any, data: TrainingSet) -> Any:
        assert data.unlabeled is not None
        targets = Stored(len(data.unlabeled), len(data.classes), moves=moves, share=share)
        return built._replace(learner=built.learner.varied(targets=targets))

    return change


def second(weight: float) -> Change:
    return lambda built, data: built._replace(
        learner=built.learner.varied(auxiliary=Second(built.learner.network, weight))
    )


@cache
def trained(host: str, name: str = "") -> Training:
    changes: dict[str, Callable[[], Change]] = {
        "identity": lambda: refined(moves=False, share=1.0),
        "mean": lambda: refined(moves=False, share=0.5),
        "moved": lambda: refined(moves=True, share=1.0),
        "second": lambda: second(1.0),
        "second of weight 0": lambda: second(0.0),
    }
    base = method(host)
    stages = changed_stages(base, changes[name]())(RECIPE) if name else base.stages(RECIPE)
    training = Training(stages, ROWS)
    list(training)
    return training


def state(training: Training) -> dict[str, Tensor]:
    """What is trained, and what predicts."""
    parts = ("network.", "average.", "host.", "guess.", "steps")
    return {name: value for name, value in training.learner.state_dict().items() if name.startswith(parts)}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(value.equal(other[name]) for name, value in one.items())


@pytest.mark.parametrize("host", HOSTS)
class TestEveryHost:
    @pytest.mark.parametrize("name", ["identity", "second of weight 0"])
    def test_without_strength_it_is_the_host_bit_for_bit(self, host: str, name: str) -> None:
        assert same(state(trained(host, name)), state(trained(host)))

    def test_a_second_pass_of_no_step_is_the_host_bit_for_bit(self, host: str) -> None:
        again = Training(method(f"sam(base={host!r}, rho=0)").stages(RECIPE), ROWS)
        list(again)
        assert same(state(again), state(trained(host)))

    @pytest.mark.parametrize("name", ["mean", "moved", "second"])
    def test_with_strength_it_is_not(self, host: str, name: str) -> None:
        assert not same(state(trained(host, name)), state(trained(host)))

    def test_refined_labels_are_asked_for_once_a_step_and_the_epochs_begin_with_a_refresh(self, host: str) -> None:
        targets: Any = trained(host, "mean").learner.targets
        steps = int(state(trained(host))["steps"])
        assert targets.calls.tolist() == [steps, steps, RECIPE.epochs]
        assert (targets.seen.sum(1) > 0).sum() > 8  # by the rows' own numbers

    def test_the_share_of_changed_labels_is_in_the_log(self, host: str) -> None:
        learner: Any = trained(host, "moved").learner
        (stage,) = method(host).stages(RECIPE)
        batch = next(iter(stage.build(ROWS, None).data.batches(0.0, torch.Generator().manual_seed(0))))
        with learner.held():
            assert learner.training_step(batch, 0.5).log["changed"] == 1
            plain = trained(host).learner.training_step(batch, 0.5)
        assert "changed" not in plain.log

    def test_what_the_auxiliary_part_says_is_predicted(self, host: str) -> None:
        learner: Any = trained(host, "second").learner
        images = ROWS.labeled.inputs
        learner.eval()
        features = learner.average(images).features
        assert learner.predict(images).equal(learner.auxiliary_average.head(features))
        assert not learner.predict(images).equal(learner.average(images).logits)
        learner.train()

    def test_resumed_with_a_store_and_an_auxiliary_part_it_ends_the_same(self, host: str) -> None:
        def both(built: Any, data: TrainingSet) -> Any:
            return second(1.0)(refined(moves=False, share=0.5)(built, data), data)

        stages = changed_stages(method(host), both)(RECIPE)
        whole = Training(stages, ROWS)
        list(whole)
        begun = Training(stages, ROWS)
        next(begun)
        resumed = Training(stages, ROWS, resume=begun.state())
        list(resumed)
        ours, theirs = (training.learner.state_dict() for training in (resumed, whole))
        assert {"targets.seen", "auxiliary_average.head.weight"} <= ours.keys()
        assert same(ours, theirs)


def test_all_hosts_are_tried() -> None:
    assert {"fixmatch", "mixmatch", "remixmatch"} <= {host.split("(")[0] for host in HOSTS}
    assert all(method(host).refuses_slots("targets", "auxiliary") is None for host in HOSTS)
