"""Trainings on halves: which rows each has, and the accuracies of the classes on the others."""

from __future__ import annotations

from typing import Any

import torch
from tests.cases import cases
from torch import Tensor

from longtail.catalogue.halves import halves_stage, held_out_accuracies
from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.sampling.halves import stratified_halves

COUNTS = (13, 6, 2, 1)
TARGETS = torch.repeat_interleave(torch.arange(4), torch.tensor(COUNTS))[
    torch.randperm(22, generator=torch.Generator().manual_seed(3))
]
INPUTS = torch.randn(22, 4, generator=torch.Generator().manual_seed(0)) + 0.8 * TARGETS[:, None]
WEIGHT = torch.arange(22) % 3 + 0.5
RECIPE = Recipe(epochs=12, batch_size=4, lr=0.05, model="mlp", model_args={"hidden": (8,)})


def rows(weight: Tensor | None = None) -> Examples:
    return Examples(INPUTS, TARGETS, ("a", "b", "c", "d"), weight)


def test_halves_are_of_every_class_and_always_the_same() -> None:
    torch.manual_seed(5)
    first, second = stratified_halves(TARGETS)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(22))
    assert first.equal(first.sort().values)
    assert second.equal(second.sort().values)
    assert [(TARGETS[first] == j).sum().item() for j in range(4)] == [7, 3, 1, 1]
    assert [(TARGETS[second] == j).sum().item() for j in range(4)] == [6, 3, 1, 0]
    torch.rand(3)
    again = stratified_halves(TARGETS)
    assert first.equal(again[0])
    assert second.equal(again[1])
    assert not first.equal(torch.arange(22)[::2])


def trained(splits: int, weight: Tensor | None = None) -> Any:
    training = Training([halves_stage(RECIPE, splits)], TrainingSet(rows(weight)))
    list(training)
    return training.learner


def expected(networks: list[Any], weight: Tensor | None) -> list[float]:
    halves = stratified_halves(TARGETS)
    right, total = [0.0] * 4, [0.0] * 4
    for network, other in zip(networks, halves[::-1], strict=False):
        for i in other.tolist():
            y, k = int(TARGETS[i]), 1.0 if weight is None else float(weight[i])
            logits = network.eval()(INPUTS[i][None]).logits[0].tolist()
            right[y] += k * (logits.index(max(logits)) == y)
            total[y] += k
    return [r / n if n else 0.0 for r, n in zip(right, total, strict=True)]


@cases("weight", [None, WEIGHT])
@cases("splits", [1, 2])
def test_accuracies_are_by_the_network_that_did_not_see_the_row(splits: int, weight: Tensor | None) -> None:
    learner = trained(splits, weight)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    learner.train()
    found = held_out_accuracies(learner, rows(weight))
    assert learner.training
    assert all(value.equal(learner.state_dict()[name]) for name, value in before.items())
    networks = [learner.network] if splits == 1 else [expert.network for expert in learner.experts]
    torch.testing.assert_close(found.tolist(), expected(networks, weight), rtol=1e-12, atol=0)
    assert found[3] == 0  # its only row was trained on, or is of a class that the other training has not seen
    assert ((found > 0) & (found < 1)).any()


def test_each_training_sees_its_half_alone() -> None:
    halves = [set(half.tolist()) for half in stratified_halves(TARGETS)]
    for splits in (1, 2):
        built = halves_stage(RECIPE, splits).build(TrainingSet(rows()), None)
        parts: Any = [built.data] if splits == 1 else built.data.parts  # type: ignore[attr-defined]
        assert len(parts) == splits
        for k, (part, half) in enumerate(zip(parts, halves, strict=False)):
            assert part.inputs.equal(INPUTS[sorted(half)])
            learner: Any = built.learner if splits == 1 else built.learner.experts[k]  # type: ignore[index]
            torch.testing.assert_close(learner.network.standardize.mean, INPUTS[sorted(half)].mean(0))


def test_no_batch_has_a_single_row() -> None:
    # halves of 12 rows and of 10, so that batches of 11 and of 9 would leave one
    for size in (11, 9):
        recipe = Recipe(epochs=1, batch_size=size, model="mlp")
        built = halves_stage(recipe, 2).build(TrainingSet(rows()), None)
        batches = built.data.batches(0.0, torch.Generator().manual_seed(0))
        assert min(len(batch["index"]) for batch in batches) > 1
