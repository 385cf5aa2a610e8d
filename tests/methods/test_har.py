"""HAR: strengths from a first training, the whole second training by hand, its base without a regulariser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import har_formulas as formulas
from tests.methods.task_data import splits_for
from torch import Tensor

from longtail.catalogue.halves import held_out_accuracies
from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.engine.randomness import generator
from longtail.facts.class_weights import effective_number
from longtail.facts.learner import Learner
from longtail.methods import method
from longtail.runs.train import Fit, train
from longtail.updates.adaptive import AdaptiveRegularisation

COUNTS = (24, 9, 4)
TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
INPUTS = torch.randn(37, 4, generator=torch.Generator().manual_seed(0)) + 0.8 * TARGETS[:, None]
DATA = TrainingSet(Examples(INPUTS, TARGETS, ("a", "b", "c")))
RECIPE = Recipe(epochs=5, batch_size=8, lr=0.1, warmup=0, model="mlp", model_args={"hidden": (8, 6)})


def learner(spec: str, recipe: Recipe = RECIPE, stages: int | None = None) -> Any:
    training = Training(method(spec).stages(recipe)[:stages], DATA)
    list(training)
    return training.learner


@cases("spec, powers", [("har", (0.6, 0.4)), ("har(error_power=1.0,size_power=0.0,splits=2)", (1.0, 0.0))])
def test_strengths_are_those_of_the_accuracies_of_the_first_training(spec: str, powers: tuple[float, float]) -> None:
    first = learner(spec, stages=1)
    built = method(spec).stages(RECIPE)[1].build(DATA, first)
    assert isinstance(built.update, AdaptiveRegularisation)
    accuracies = held_out_accuracies(first, DATA.labeled).tolist()
    assert len(set(accuracies)) == (3 if "splits=2" in spec else 2)
    expected = formulas.strengths(accuracies, [float(n) for n in COUNTS], *powers)
    torch.testing.assert_close(built.update.strengths.tolist(), expected, rtol=1e-6, atol=0)
    assert built.update.reg_weight == 10.0


@cases("spec, at", [("har(reg_weight=3.0)", None), ("har-drw(reg_weight=3.0,splits=2)", 0.8)])
def test_the_second_training_is_that_of_the_formula(spec: str, at: float | None) -> None:
    """By a loop of our own: forward pass, loss, gradients at the hidden values, SGD, from the same initial state."""
    first, second = method(spec).stages(RECIPE)
    previous: list[Learner] = []
    initial: dict[str, Tensor] = {}

    def build(data: TrainingSet, before: Learner | None) -> Any:
        assert before is not None
        previous.append(before)
        built = second.build(data, before)
        initial.update({name: value.clone() for name, value in built.learner.state_dict().items()})
        return built

    training = Training([first, replace(second, build=build)], DATA)
    list(training)
    accuracies = held_out_accuracies(previous[0], DATA.labeled).tolist()
    s = torch.tensor(formulas.strengths(accuracies, [float(n) for n in COUNTS], 0.6, 0.4))
    shift, scale = (initial[f"network.standardize.{name}"].double() for name in ("mean", "std"))
    names = [f"network.{part}.{kind}" for part in ("body.1", "body.3", "head") for kind in ("weight", "bias")]
    w = [initial[name].double().requires_grad_() for name in names]
    optimizer = torch.optim.SGD(w, lr=0.1, momentum=RECIPE.momentum, weight_decay=RECIPE.weight_decay)
    for epoch in range(5):
        for group in optimizer.param_groups:
            group["lr"] = RECIPE.learning_rate(epoch / 5)
        weight = (
            effective_number(torch.tensor(COUNTS)).double()
            if at is not None and epoch / 5 >= at
            else torch.ones(3).double()
        )
        order = generator(0, 1, epoch, "order")
        for batch in DATA.labeled.drawn(8).batches(epoch / 5, order):
            inputs: Any = batch["inputs"]
            y, x = batch["targets"], (inputs.double() - shift) / scale
            a1 = x @ w[0].T + w[1]
            a2 = a1.clamp(min=0) @ w[2].T + w[3]
            z = a2.clamp(min=0) @ w[4].T + w[5]
            losses = torch.stack([weight[k] * (row.exp().sum().log() - row[k]) for row, k in zip(z, y, strict=True)])
            loss = losses.sum() / weight[y].sum()
            norms = [
                (g**2).sum(1).clamp(min=1e-300).sqrt() for g in torch.autograd.grad(loss, (a1, a2), create_graph=True)
            ]
            optimizer.zero_grad()
            penalty: Any = sum(s[k] * (norms[0][i] + norms[1][i]) for i, k in enumerate(y)) / len(y)
            (loss + 3.0 * penalty).backward()
            optimizer.step()
    found = training.learner.state_dict()
    for name, value in zip(names, w, strict=True):
        torch.testing.assert_close(found[name].double(), value.detach(), rtol=2e-4, atol=2e-5, msg=f"{name} differs")
        assert not found[name].equal(initial[name])


def test_the_first_training_is_plain_and_shared() -> None:
    stages = [method(spec).stages(RECIPE) for spec in ("har", "har-drw", "har(base='absgd',reg_weight=1.0)")]
    assert len({found[0].spec for found in stages}) == 1
    assert len({found[1].spec for found in stages}) == 3
    other = [method(f"har({knob})").stages(RECIPE)[0] for knob in ("splits=2", "estimation=0.5")]
    assert len({stage.spec for stage in (stages[0][0], *other)}) == 3
    assert [stage.epochs for stage in other] == [5, 2]
    weighted = stages[2][0].build(DATA, None)
    assert weighted.learner.weights is None  # corrections leave it as it is
    assert stages[2][1].build(DATA, weighted.learner).learner.weights is not None


@cases(
    "spec, base",
    [
        ("har(reg_weight=0)", "ce"),
        ("har-drw(reg_weight=0)", "ce-drw"),
        ("har(base='ldam-drw',reg_weight=0)", "ldam-drw"),
    ],
)
def test_without_a_regulariser_it_is_its_base(spec: str, base: str) -> None:
    plain, found = learner(base).state_dict(), learner(spec).state_dict()
    assert plain.keys() == found.keys()
    assert all(value.equal(found[name]) for name, value in plain.items())


def test_every_part_of_it_changes_what_is_learnt() -> None:
    specs = (
        "har", "har-drw", "har(reg_weight=1.0)", "har(splits=2)", "har(splits=2,error_power=0.1)",
        "har(size_power=1.0)", "har(per_row=True,reg_weight=1.0)", "har(base='ldam')", "drw(base='har')",
        "absgd(base='har')", "mixup(base='har')",
    )  # fmt: skip
    found = [learner(spec).network.head.weight for spec in specs]
    same = [(specs[i], specs[j]) for i, a in enumerate(found) for j, b in enumerate(found[:i]) if a.equal(b)]
    assert same == [("drw(base='har')", "har-drw")]


@pytest.mark.slow
def test_interrupted_after_every_epoch_of_both_halves_it_ends_the_same(tmp_path: Path) -> None:
    spec, recipe = "har(splits=2)", Recipe(epochs=3, batch_size=16, model="mlp", model_args={"hidden": (8,)})
    splits = splits_for(method(spec), apart=2.0)
    whole = train(spec, splits, folder=tmp_path / "whole", recipe=recipe)
    for _ in range(6):
        next(Fit(spec, splits, folder=tmp_path / "parts", recipe=recipe))
    again = train(spec, splits, folder=tmp_path / "parts", recipe=recipe)
    assert [(r["stage"], r["epoch"]) for r in again.records] == [(s, e) for s in ("halves", "train") for e in (1, 2, 3)]
    names = ("predictions.safetensors", "model.safetensors")
    assert all((again.folder / name).read_bytes() == (whole.folder / name).read_bytes() for name in names)


@cases(
    "spec, message",
    [
        ("har(reg_weight=-1)", "reg_weight must be >= 0, got -1"),
        ("har(splits=3)", r"splits must be an integer in \[1, 2\], got 3"),
        ("har(estimation=0)", "estimation must be .*> 0"),
        ("har-drw(size_power=-0.1)", "size_power must be >= 0"),
        ("har(base='crt')", "which trains its classifier a second time already"),
        ("har(base='ssp')", "which starts from the network of another training already"),
        ("har(base='sam')", "which takes steps of its own kind already"),
        ("sam(base='har')", "which takes steps of its own kind already"),
        ("absgd-decoupled(base='har')", "which trains its classifier a second time already"),
        ("ssp(base='har')", "which starts from the network of another training already"),
        ("har(base='ride')", "which has no start to take up"),
        ("har(base='fixmatch')", "which is semi-supervised"),
    ],
)
def test_what_it_refuses(spec: str, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        method(spec)
    assert "\n" not in str(raised.value)


@cases(
    "spec, changes, counts, message",
    [
        ("har", {"model": "linear", "model_args": {}}, COUNTS, "needs a network with hidden layers, got linear"),
        ("har", {"compile": True}, COUNTS, "compile must be off.*leave it out"),
        ("har(splits=2)", {}, (1, 1, 1), "splits must be 1 where no class has two rows, got 2"),
    ],
)
def test_recipes_and_rows_that_it_refuses(
    spec: str, changes: dict[str, Any], counts: tuple[int, ...], message: str
) -> None:
    recipe = Recipe(**{"epochs": 2, "model": "mlp", **changes})
    y = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    why = method(spec).refuses_recipe(recipe, Examples(torch.randn(len(y), 4), y, ("a", "b", "c")))
    assert why is not None
    assert "\n" not in why
    assert re.search(message, why), why
    assert method("har").refuses_recipe(RECIPE, DATA.labeled) is None
