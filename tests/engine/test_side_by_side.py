"""Trainings side by side end as each does by itself, to the byte; steps are made at once where they can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tests.packs import counted_packs
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from longtail import losses
from longtail.data import load
from longtail.engine import Built, Recipe, side_by_side
from longtail.engine.due_step import DueStep
from longtail.engine.epoch_monitor import FinitenessError
from longtail.engine.pack import signature
from longtail.facts.types import Batch
from longtail.learners import SupervisedLearner
from longtail.models.network import Network
from longtail.models.standardize import Standardize
from longtail.runs.train import Fit

SIZES = ((40, 20, 10), (40, 20, 10), (41, 20, 10))
"""Rows of each class of the three data sets; with batches of 16 the last one is of 6 or 7 rows."""


def training(spec: str, which: int, **fields: Any) -> Fit:
    generator = torch.Generator().manual_seed(which)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES[which]))
    inputs = torch.randn(len(labels), 4, generator=generator) + labels[:, None]
    splits = load(inputs, labels, test=0.2)
    options = {"epochs": 12, "batch_size": 16, "model": "mlp", **fields}
    return Fit(spec, splits, seed=which, recipe=Recipe(**options), threads=1)


def ending(fit: Fit) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in fit.learner.state_dict().items() if isinstance(value, torch.Tensor)}


def alone(spec: str, **fields: Any) -> list[dict[str, torch.Tensor]]:
    fits = [training(spec, which, **fields) for which in range(3)]
    for fit in fits:
        for _ in fit:
            pass
    return [ending(fit) for fit in fits]


def together(spec: str, **fields: Any) -> list[dict[str, torch.Tensor]]:
    fits = [training(spec, which, **fields) for which in range(3)]
    side_by_side.side_by_side([fit.events for fit in fits])
    return [ending(fit) for fit in fits]


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps were made at once, in each call."""
    return counted_packs(monkeypatch)


def check(spec: str, **fields: Any) -> None:
    for a, b in zip(alone(spec, **fields), together(spec, **fields), strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow  # it trains many methods
@pytest.mark.parametrize(
    "spec",
    [
        "ce", "ldam-drw", "cb-rs", "focal-drw", "absgd(lam=2)", "ce-drs", "crt", "oltr",
        "term(base='logit-adjusted', t=0.1)",
    ],
)  # fmt: skip
def test_each_ends_as_by_itself(packed: list[int], spec: str) -> None:
    check(spec)
    # all batches but the first, before which there is no momentum, and the last of an epoch, whose sizes differ
    assert packed.count(3) > 12 * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"model_args": {"dropout": 0.3}}, {"optimizer": "adamw", "lr": 0.01}, {"momentum": 0.0},
        {"model": "linear"}, {"model_args": {"branches": 2}}, {"precision": "bfloat16"},
    ],
)  # fmt: skip
def test_what_cannot_be_made_at_once_is_made_in_turn(packed: list[int], fields: dict[str, Any]) -> None:
    check("ce", **fields)
    assert packed == []


class Doubled(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(2 * x)


def hooked() -> nn.Module:
    layer = nn.Linear(4, 8)
    layer.register_forward_hook(lambda *arguments: 2 * arguments[2])
    return layer


def patched() -> nn.Module:
    layer = nn.Linear(4, 8)
    layer.forward = lambda x: 2 * x @ layer.weight.T  # type: ignore[method-assign]
    return layer


def table_training(which: int, categories: tuple[int, ...]) -> Fit:
    """A training on two numbers and two columns of codes, of which some are rare and one of ten is unknown."""
    generator = torch.Generator().manual_seed(which)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor((40, 20, 10)))
    codes = [torch.randint(size + 1, (len(labels), 1), generator=generator) for size in categories]
    inputs = torch.cat([torch.randn(len(labels), 2, generator=generator), *codes], 1)
    arguments = {"numeric": 2, "categories": list(categories)}
    recipe = Recipe(epochs=12, batch_size=16, model="tabular", model_args=arguments, standardize=((0.0,), (1.0,)))
    return Fit("ldam-drw", load(inputs, labels, test=0.2), seed=which, recipe=recipe, threads=1)


def test_tables_whose_folds_know_different_categories(packed: list[int]) -> None:
    known = ((30, 4), (29, 4), (31, 4))  # embeddings of 30, 29 and 31 rows, all 11 wide
    fits = [table_training(which, categories) for which, categories in enumerate(known)]
    side_by_side.side_by_side([fit.events for fit in fits])
    assert packed.count(3) > 12 * 2
    for which, (fit, categories) in enumerate(zip(fits, known, strict=True)):
        single = table_training(which, categories)
        for _ in single:
            pass
        a, b = ending(single), ending(fit)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
        embedding = b["network.body.0.embeddings.0.weight"]
        assert embedding.shape[0] == categories[0]


def test_embeddings_of_other_widths_are_another_kind(packed: list[int]) -> None:
    fits = [table_training(which, categories) for which, categories in enumerate(((30, 4), (30, 9)))]
    side_by_side.side_by_side([fit.events for fit in fits])
    assert packed == []


TWICE, RELU = nn.Linear(4, 4), nn.ReLU()


def due(body: nn.Module, shape: tuple[int, ...] = (16, 4)) -> DueStep:
    network = Network(Standardize(4), body, nn.Linear(8, 3))
    learner = SupervisedLearner(network, losses.CrossEntropyLoss())
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1, momentum=0.9)
    batch = Batch(inputs=torch.zeros(shape), index=torch.arange(16), targets=torch.zeros(16, dtype=torch.int64))
    return DueStep(Built(learner, None), batch, optimizer, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        nn.Sequential(nn.Linear(4, 8, bias=False), RELU), nn.Sequential(Doubled(nn.Linear(4, 8), RELU)),
        nn.Sequential(TWICE, RELU, TWICE, nn.Linear(4, 8)), nn.Sequential(hooked(), RELU), nn.Sequential(patched()),
        nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Sequential(weight_norm(nn.Linear(4, 8))),
        nn.Sequential(nn.Flatten(0), nn.Linear(4, 8)), nn.Sequential(RELU),
    ],
)  # fmt: skip
def test_bodies_that_a_stacked_pass_does_not_have(body: nn.Module) -> None:
    assert signature(due(nn.Sequential(nn.Linear(4, 8), RELU))) is not None
    assert signature(due(body)) is None


def test_a_layer_without_parameters_may_be_passed_twice() -> None:
    found = signature(due(nn.Sequential(nn.Linear(4, 8), RELU, nn.Linear(8, 8), RELU)))
    assert found is not None
    assert [kind for kind, _ in found[0]] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU]


def test_rows_of_several_dimensions_are_flattened_first() -> None:
    assert signature(due(nn.Sequential(nn.Linear(4, 8), RELU), (16, 4, 2, 2))) is None
    assert signature(due(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), RELU), (16, 4, 2, 2))) is not None


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["sam", "abadam", "absgd-decoupled", "ncm", "mislas", "etf-dr(batch_norm=True)"])
def test_other_steps_and_frozen_layers(spec: str) -> None:
    check(spec)


def test_the_global_generator_is_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    together("ce", model_args={"dropout": 0.3})
    assert torch.equal(torch.rand(3), expected)


def test_one_that_fails_closes_the_others() -> None:
    fits = [training("ce", 0), training("ce", 1, lr=1e30), training("ce", 2)]
    with pytest.raises(FinitenessError):
        side_by_side.side_by_side([fit.events for fit in fits])
    for fit in fits:
        with pytest.raises(StopIteration):
            next(fit)


def test_rates_may_differ(packed: list[int]) -> None:
    fits = [training("ce", which, lr=0.05 * (which + 1)) for which in range(3)]
    side_by_side.side_by_side([fit.events for fit in fits])
    assert packed.count(3) > 12 * 2
    for which, fit in enumerate(fits):
        single = training("ce", which, lr=0.05 * (which + 1))
        for _ in single:
            pass
        a, b = ending(single), ending(fit)
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_step_that_fails_ends_what_its_training_had_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = training("ce", 0)
    next(fit)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    def failing(*_: Any) -> Iterator[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("longtail.updates.descend.Descend.__call__", failing)
    with pytest.raises(KeyboardInterrupt):
        next(fit)
    assert torch.equal(torch.rand(3), expected)
