"""BCL: the host until there is a strength, then other views; its memory over epochs, and across an interruption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.cases import cases
from torch import Tensor

from longtail.catalogue.resolve import resolve
from longtail.data import Examples, TrainingSet
from longtail.data.further_change import FurtherChange
from longtail.data.views.magnitudes import OneOperation
from longtail.engine import Built, Recipe, Training
from longtail.engine.randomness import generator, seeded
from longtail.learners import momentum_losses
from longtail.methods import method
from longtail.methods.entries import CATALOG

RECIPE = Recipe(epochs=3, batch_size=16, lr=0.1, model="mlp", model_args={"hidden": (8,)})


def pictures(count: int = 43) -> TrainingSet:
    pixels = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return TrainingSet(Examples(pixels, torch.arange(count) % 3, ("a", "b", "c")))


DATA = pictures()


def encoder(spec: str) -> Training:
    """The training of the encoder alone, not begun."""
    return Training(method(spec).stages(RECIPE)[:1], DATA)


def built(found: Any) -> Built:
    with seeded(0, 0, 0, "build"):
        return found.stages(RECIPE)[0].build(DATA, None)  # type: ignore[no-any-return]


def weights(training: Training) -> dict[str, Tensor]:
    state = training.learner.state_dict()
    return {name: value.clone() for name, value in state.items() if name.startswith("network.")}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(value.equal(other[name]) for name, value in one.items())


def test_the_first_epoch_is_that_of_the_host_to_the_bit_and_the_second_is_not() -> None:
    ours, host = encoder("bcl"), encoder("simclr")
    assert next(ours)["strength_std"] == 0
    next(host)
    assert same(weights(ours), weights(host))
    assert next(ours)["strength_std"] > 0.1
    next(host)
    assert not same(weights(ours), weights(host))


@cases("spec", ["bcl", "bcl(ops=2, floor=30, magnitudes='drawn')", "bcl(base='sam')"])
def test_without_strength_it_is_its_base_to_the_bit(spec: str) -> None:
    base = "sam(base='simclr')" if "base" in spec else "simclr"
    spec = f'bcl(base="{base}")' if "base" in spec else spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(momentum_losses, "memorisation_scores", lambda losses, known: torch.zeros_like(losses))
        ours, host = encoder(spec), encoder(base)
        assert [record["loss"] for record in ours] == [record["loss"] for record in host]
    assert same(weights(ours), weights(host))


def test_momentum_losses_are_those_of_the_steps_epoch_by_epoch() -> None:
    learner, data, _ = built(method("bcl(beta=0.5)"))
    (memory,) = learner.memories  # type: ignore[union-attr,misc]
    expected: dict[int, float] = {}
    for epoch in range(3):
        learner.start_epoch(data, epoch / 3)
        for drawn in data.draws(epoch / 3, generator(0, 0, epoch, "order")):
            batch = data.batch_of(drawn)
            step = learner.training_step(batch, epoch / 3)
            learner.after_update(batch, step, epoch / 3)
            for row, loss in zip(batch["index"].tolist(), step.losses.tolist(), strict=True):  # type: ignore[union-attr]
                expected[row] = 0.5 * expected[row] + 0.5 * loss if epoch else loss
        assert memory.losses.tolist() == pytest.approx([expected[i] for i in range(43)])


def test_views_of_rows_with_a_strength_change_and_those_of_the_others_do_not() -> None:
    learner, data, _ = built(method("bcl"))
    (memory,) = learner.memories  # type: ignore[union-attr,misc]
    assert isinstance(data, FurtherChange)
    assert data.change == OneOperation()
    memory.scores.copy_(torch.arange(43) % 2)
    for ours, host in zip(data.batches(0.5, generator(0, 0, 1, "order")),
                          data.rows.batches(0.5, generator(0, 0, 1, "order")), strict=True):  # fmt: skip
        strong = ours["index"] % 2 == 1
        for a, b in zip(ours["inputs"], host["inputs"], strict=True):
            assert a[~strong].equal(b[~strong])
            assert float((a[strong] != b[strong]).flatten(1).any(1).double().mean()) > 0.5
    learner.to("meta")
    assert data.strength().is_meta, "the strength is read where the learner is"


@cases(("spec", "dual", "expected"), [
    ("bcl", False, (1, 10.0, False)),
    ("bcl", True, (2, 5.0, True)),
    ("bcl(ops=3, floor=0)", False, (3, 0, False)),
    ("bcl(floor=0, magnitudes='strength')", True, (2, 0, False)),
    ("bcl(magnitudes='drawn')", False, (1, 10.0, True)),
    ("bcl(ops='bcl-d', floor='bcl-d', magnitudes='drawn')", False, (2, 5.0, True)),
    ("bcl(ops='bcl-i', floor='bcl-i', magnitudes='strength')", True, (1, 10.0, False)),
])  # fmt: skip
def test_what_is_left_out_follows_from_the_base(spec: str, dual: bool, expected: tuple[Any, ...]) -> None:
    """A base with a pruned branch stands for sdclr."""
    host = CATALOG["simclr"]

    def pruned() -> Any:
        return replace(host(), taken=frozenset({"branch"}))

    found = resolve(spec, {"bcl": CATALOG["bcl"], "simclr": pruned if dual else host})
    data: Any = built(found).data
    assert (data.operations, data.floor, data.random) == expected
    assert found.own["weight_decay"] == (1e-4 if dual else 5e-4)


def test_an_interrupted_training_goes_on_to_the_byte_with_its_memory() -> None:
    spec = "bcl(ops=2, magnitudes='drawn')"
    whole, cut = encoder(spec), encoder(spec)
    list(whole)
    next(cut)
    next(cut)
    state = cut.state()
    assert {"memories.0.losses", "memories.0.visited", "memories.0.scores"} <= set(state["learner"])
    resumed = Training(method(spec).stages(RECIPE)[:1], DATA, resume=state)
    assert len(list(resumed)) == 1
    ours, theirs = whole.learner.state_dict(), resumed.learner.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(value.equal(theirs[name]) for name, value in ours.items())


@cases(("spec", "line"), [
    ("bcl(base='bcl')", "base must be .*, got 'bcl', which changes its views row by row already"),
    ("bcl(base='random-encoder')", "base must be .*, got 'random-encoder', whose training is not one of gradient"),
    ("bcl(base='ce')", "base must be .*, got 'ce', which is supervised"),
    ("bcl(beta=1)", r"beta must be in \[0, 1\), got 1"),
    ("bcl(ops=0)", "ops must be an integer >= 1, got 0"),
    ("bcl(floor=31)", r"floor must be in \[0, 30\], got 31"),
    ("bcl(floor='bcl')", r'floor must be "auto" or "bcl-i" or "bcl-d" or a number in \[0, 30\], got'),
    ("bcl(magnitudes='large')", "magnitudes must be \"auto\" or \"strength\" or \"drawn\", got 'large'"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(spec: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        method(spec)


def test_a_base_that_is_not_drawn_as_two_views_is_refused_when_it_is_built() -> None:
    host = method("simclr")

    def one_view(recipe: Recipe) -> Any:
        (first, *rest) = host.stages(recipe)

        def build(data: Any, previous: Any) -> Built:
            made: Any = first.build(data, previous)
            return made._replace(data=replace(made.data, views=("contrast",)))  # type: ignore[no-any-return]

        return [replace(first, build=build), *rest]

    found = CATALOG["bcl"](base=replace(host, stages=one_view))
    with pytest.raises(ValueError, match=r"base must compare two views of rows .*, got 1 of them; choose another base"):
        built(found)


def test_over_moco_no_mean_has_a_loss_from_before_the_queue_was_full() -> None:
    """The first rows are compared with an empty queue: their losses of 0 would set the scale for many epochs."""
    learner, data, _ = built(method("bcl(base='moco(queue=48)', beta=0.5)"))
    (memory,) = learner.memories  # type: ignore[union-attr,misc]
    expected: dict[int, float] = {}
    begun: set[int] = set()
    for epoch in range(4):
        learner.start_epoch(data, epoch / 4)
        for drawn in data.draws(epoch / 4, generator(0, 0, epoch, "order")):
            batch = data.batch_of(drawn)
            step = learner.training_step(batch, epoch / 4)
            full = bool((learner.host.rows >= 0).all())  # type: ignore[union-attr,operator]
            learner.after_update(batch, step, epoch / 4)
            for row, loss in zip(batch["index"].tolist(), step.losses.tolist(), strict=True):  # type: ignore[union-attr]
                expected[row] = 0.5 * expected[row] + 0.5 * loss if row in begun else loss
                begun |= {row} if full else set()
    assert len(begun) == 43
    assert memory.losses.tolist() == pytest.approx([expected[i] for i in range(43)])
