"""RIDE: the published loss of a batch, experts with layers of their own, and what happens to it under corrections."""

from __future__ import annotations

import pytest
import torch
from tests.functional import expert_formulas as formulas

from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.facts.types import Batch, Outputs, Step
from longtail.learners import SupervisedLearner
from longtail.methods import method

COUNTS = [40, 15, 5]
TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
INPUTS = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)) + TARGETS[:, None]
DATA = Examples(INPUTS, TARGETS, ("a", "b", "c"))
RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8, 8)})
ROWS = torch.tensor([0, 1, 2, 41, 42, 57, 58])
COSINES = 2 * torch.rand(7, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1


def learner(spec: str = "ride") -> SupervisedLearner:
    (stage,) = method(spec).stages(RECIPE)
    torch.manual_seed(0)
    built = stage.build(TrainingSet(DATA), None).learner
    assert isinstance(built, SupervisedLearner)
    return built


class Fixed(torch.nn.Module):
    """Answers with given cosines."""

    def __init__(self, experts: int) -> None:
        super().__init__()
        self.cosines = torch.nn.Parameter(COSINES[:, :experts].clone())

    def forward(self, inputs: torch.Tensor) -> Outputs:
        return Outputs(self.cosines.mean(1), None, {"experts": self.cosines})


def step(spec: str, progress: float, experts: int = 3, weight: list[float] | None = None) -> Step:
    batch: Batch = DATA.batch(ROWS)
    if weight is not None:
        batch["sample_weight"] = torch.tensor(weight, dtype=torch.float64)
    return learner(spec).varied(network=Fixed(experts)).training_step(batch, progress)


@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 1.0, 0.5, 3.0, 1.0, 2.0]])
@pytest.mark.parametrize("progress", [0.0, 0.79, 0.8, 0.99])
def test_the_loss_of_a_batch_is_the_published_one(progress: float, weight: list[float] | None) -> None:
    expected = formulas.ride(
        COSINES.tolist(), TARGETS[ROWS].tolist(), COUNTS, deferred=progress >= 0.8, rows=weight
    )  # fmt: skip
    assert step("ride", progress, weight=weight).loss.item() == pytest.approx(expected, rel=1e-12)


def test_every_knob_of_the_loss_is_that_of_the_formula() -> None:
    spec = "ride(experts=2, diversity=1.5, tail=0.7, max_margin=0.2, scale=7, at=0.5)"
    expected = formulas.ride(
        COSINES[:, :2].tolist(), TARGETS[ROWS].tolist(), COUNTS, deferred=True,
        diversity_factor=1.5, share=0.7, max_margin=0.2, scale=7.0,
    )  # fmt: skip
    assert step(spec, 0.5, experts=2).loss.item() == pytest.approx(expected, rel=1e-12)


def test_without_diversity_every_expert_has_its_own_loss() -> None:
    each = [
        formulas.ride(COSINES[:, [e]].tolist(), TARGETS[ROWS].tolist(), COUNTS, deferred=True, diversity_factor=0.0)
        for e in range(3)
    ]
    assert step("ride(diversity=0)", 0.9).loss.item() == pytest.approx(sum(each), rel=1e-12)


def test_instance_weights_weigh_each_examples_part_of_the_loss() -> None:
    plain = step("ride", 0.9)
    assert plain.losses is not None
    assert plain.losses.mean().item() == pytest.approx(plain.loss.item(), rel=1e-12)
    found = step("absgd(base='ride', lam=2, gamma=1)", 0.9)
    torch.testing.assert_close(found.losses, plain.losses)
    weights = (plain.losses / 2).exp() / (plain.losses / 2).exp().mean()
    torch.testing.assert_close(found.loss, (weights.detach() * plain.losses).mean())


def test_experts_share_the_first_layer_and_have_the_rest_for_themselves() -> None:
    network = learner().network
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert shapes["body.1.weight"] == (8, 4)
    assert [shapes[f"body.3.branches.{e}.0.weight"] for e in range(3)] == [(6, 8)] * 3
    assert [shapes[f"head.experts.{e}.weight"] for e in range(3)] == [(3, 6)] * 3
    outputs = network(INPUTS)
    assert outputs.features.shape == (60, 18)
    assert outputs.logits.equal(outputs.extra["experts"].mean(1))
    assert not outputs.extra["experts"][:, 0].equal(outputs.extra["experts"][:, 1])
    assert outputs.logits.abs().max() <= 1 + 1e-6  # cosines: the scale is the loss's


def test_a_resnet_32_has_the_widths_of_the_code() -> None:
    images = Examples(torch.rand(8, 3, 8, 8), torch.arange(8) % 2, ("a", "b"))
    (stage,) = method("ride").stages(Recipe(model="resnet32"))
    state = stage.build(TrainingSet(images), None).learner.network.state_dict()
    assert state["body.0.weight"].shape == (16, 3, 3, 3)
    assert state["body.7.conv2.weight"].shape == (16, 16, 3, 3)
    assert [state[f"body.8.branches.2.{k}.conv2.weight"].shape[0] for k in (0, 4, 5, 9)] == [24, 24, 48, 48]
    assert state["head.experts.2.weight"].shape == (2, 48)


@pytest.mark.parametrize("spec", ["ride(diversity=0)", "ride(tail=0)", "ride(width=1)", "ride(experts=2)"])
def test_every_part_is_applied(spec: str) -> None:
    def scores(spec: str) -> torch.Tensor:
        training = Training(method(spec).stages(RECIPE), DATA)
        list(training)
        return training.learner.eval().predict(INPUTS)

    assert not scores(spec).equal(scores("ride"))


def test_a_body_of_its_own_cannot_start_from_another_training() -> None:
    assert method("ride").refuses_slots("start") == "which has no start to take up"
