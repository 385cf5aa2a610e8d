"""Chance is derived by index: from seed, stage and epoch, and from nothing that happened before."""

from __future__ import annotations

import itertools

import pytest
import torch

from longtail.data import TrainingSet, load
from longtail.engine import Recipe
from longtail.engine.randomness import derived, generator, seeded
from longtail.methods import method


def test_every_index_and_purpose_has_a_seed_of_its_own() -> None:
    indices = itertools.product(range(5), range(3), range(20), ("global", "order", "build"))
    seeds = [derived(*index) for index in indices]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= s < 2**63 for s in seeds)


def test_a_seed_does_not_depend_on_what_was_drawn_before() -> None:
    first = torch.rand(4, generator=generator(1, 0, 7, "order"))
    torch.rand(1000)
    generator(1, 0, 6, "order")
    assert torch.rand(4, generator=generator(1, 0, 7, "order")).equal(first)


def test_the_global_generator_is_derived_inside_and_restored_outside() -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    with seeded(0, 0, 0):
        inside = torch.rand(3)
    assert torch.rand(3).equal(expected)
    with seeded(0, 0, 0):
        assert torch.rand(3).equal(inside)
    with seeded(0, 0, 1):
        assert not torch.rand(3).equal(inside)


def test_the_global_generator_is_restored_after_an_error() -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    with pytest.raises(ZeroDivisionError), seeded(0, 0, 0):
        torch.rand(5 // 0)
    assert torch.rand(3).equal(expected)


@pytest.mark.parametrize("other", ["ldam-drw", "logit-adjusted", "cb-focal", "focal"])
def test_methods_with_one_seed_start_alike_and_see_their_batches_alike(other: str) -> None:
    data = load("digits").train
    recipe = Recipe(epochs=2, batch_size=32)
    bodies, orders = [], []
    for spec in ("ce", other):
        with seeded(3, 0, 0, "build"):
            learner, part, _ = method(spec).stages(recipe)[0].build(TrainingSet(data), None)
        bodies.append(learner.network.body.state_dict())  # type: ignore[attr-defined]
        orders.append([b["index"].tolist() for b in part.batches(0.0, generator(3, 0, 0, "order"))])
    assert all(bodies[0][k].equal(bodies[1][k]) for k in bodies[0])
    assert orders[0] == orders[1]
