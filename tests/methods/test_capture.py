"""Every method's step can be captured as a CUDA graph, or says why not: recorded on the CPU and run again.

A graph runs the operations of one step again, whatever values its tensors have by then. So does `recording`: what a
step decides in Python, by the number of the step or by a value, would show as another result than the eager step's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from tests.methods import task_data
from tests.methods.recorded_step import Replayed, copied, recording, written
from tests.methods.task_data import by_task
from torch.utils._pytree import tree_map_only, tree_structure

from longtail.data import Examples, TrainingSet
from longtail.data.divided import Divided
from longtail.data.true_labels import with_true_counts
from longtail.data.views import Noise
from longtail.engine import Built, Recipe, Stage, Training, capture, gradient_scaler
from longtail.engine.due_step import set_learning_rate
from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.gradient_scaler import float16_networks
from longtail.engine.randomness import generator, seeded
from longtail.engine.step_values import StepValues
from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Drawn, Step
from longtail.methods import explained, method
from longtail.methods.entries import CATALOG
from longtail.updates import Descend

pytestmark = pytest.mark.slow  # it runs steps of every method

RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})
PROGRESS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.79, 0.8, 0.9, 0.95)
"""Of the steps: two to warm up, one that is recorded, and those that are run again; deferred methods switch at 0.8."""
WARM = 2
KEYS = [pytest.param(key, id=f"{task}-{key}") for task, keys in by_task(CATALOG).items() for key in keys]


@cache
def data(key: str) -> TrainingSet:
    """With the views of the library, where the tests of training have functions of their own."""
    splits = task_data.splits_for(method(key), apart=2.0)
    rest = None if splits.unlabeled is None else replace(splits.unlabeled, policy={})
    splits = replace(splits, train=replace(splits.train, policy={}), unlabeled=rest)
    return with_true_counts(splits) if method(key).keeps_labels else TrainingSet.of(splits)


def rates() -> Iterator[float]:
    return (0.05 / (1 + k) for k in range(len(PROGRESS)))


def draws(built: Built) -> list[Drawn]:
    """Whole batches of one structure, as many as there are steps."""
    found: list[Drawn] = []
    for epoch in range(len(PROGRESS)):
        found += list(built.data.draws(0.9, generator(0, 0, epoch, "order")))
    size, structure = len(found[0]["index"]), tree_structure(found[0])
    alike = (drawn for drawn in found if len(drawn["index"]) == size and tree_structure(drawn) == structure)
    return list(islice(alike, len(PROGRESS)))


def made(stage: Stage, rows: TrainingSet, previous: Learner | None) -> Built:
    with seeded(0, 0, 0, "build"):
        built = stage.build(rows, previous)
    built.learner.train()
    built.learner.start_epoch(built.data, 0.0)
    return built


def begun(stage: Stage, rows: TrainingSet, previous: Learner | None) -> tuple[Built, torch.optim.Optimizer]:
    built = made(stage, rows, previous)
    torch.manual_seed(0)  # of losses that draw random numbers
    return built, stage.start(built.learner)


def one_step(built: Built, drawn: Drawn, optimizer: torch.optim.Optimizer, progress: Any, watch: EpochMonitor) -> Step:
    """What the engine does for one batch."""
    batch = built.data.batch_of(drawn)
    step = built.update(built.learner, batch, optimizer, progress)
    built.learner.after_update(batch, step, progress)
    watch.note(step, batch)
    watch.add_up()
    return step


def eager(stage: Stage, rows: TrainingSet, previous: Learner | None) -> tuple[Learner, list[float], EpochMonitor]:
    built, optimizer = begun(stage, rows, previous)
    watch = EpochMonitor(3, "cpu")
    losses = []
    for drawn, progress, lr in zip(draws(built), PROGRESS, rates(), strict=True):
        set_learning_rate(optimizer, lr)
        losses.append(float(one_step(built, drawn, optimizer, progress, watch).loss.detach()))
    return built.learner, losses, watch


def captured(stage: Stage, rows: TrainingSet, previous: Learner | None) -> tuple[Learner, list[float], EpochMonitor]:
    """The same with progress and learning rate as tensors, one step recorded and run again for those that follow."""
    built, optimizer = begun(stage, rows, previous)
    watch, values = EpochMonitor(3, "cpu"), StepValues("cpu")
    values.drive(optimizer)
    epoch, losses, recorded = draws(built), [], None
    static = copied(epoch[0])
    for k, (drawn, progress, lr) in enumerate(zip(epoch, PROGRESS, rates(), strict=True)):
        values.write(progress, lr)
        written(static, drawn)
        if k < WARM:
            step = one_step(built, static, optimizer, values.progress, watch)
        elif recorded is None:
            with recording() as recorded:
                step = one_step(built, static, optimizer, values.progress, watch)
            assert recorded.waits == [], f"stage {stage.name} waits for the device: mend it, or say why in eager="
        else:
            recorded.replay()
        losses.append(float(step.loss.detach()))
    return built.learner, losses, watch


def check(stage: Stage, rows: TrainingSet, previous: Learner | None) -> Learner:
    """Raise AssertionError where the stage's declaration is wrong, in either direction; return the trained learner."""
    learner, losses, watch = eager(stage, rows, previous)
    if stage.eager:
        built, optimizer = begun(stage, rows, previous)
        drawn, progress = draws(built)[0], StepValues("cpu").progress
        with recording() as recorded:
            one_step(built, drawn, optimizer, progress, EpochMonitor(3, "cpu"))
        assert recorded.waits, f"stage {stage.name} says that it is eager ({stage.eager}), but nothing in it waits"
        return learner
    again, losses_again, watch_again = captured(stage, rows, previous)
    assert losses_again == pytest.approx(losses, rel=1e-4)
    for name, value in learner.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: n + m)
    for sums in ("total", "weights", "unweighted", "shares"):
        torch.testing.assert_close(getattr(watch_again, sums), getattr(watch, sums), rtol=1e-4, atol=1e-5)
    return learner


def trained_stages(key: str, recipe: Recipe = RECIPE) -> Iterator[tuple[Stage, TrainingSet, Learner | None]]:
    """Every stage of a method that makes steps, with the learner of the stage before."""
    rows, previous = data(key), None
    for stage in method(key).stages(recipe):
        if stage.epochs:
            yield stage, rows, previous
        previous = made(stage, rows, previous).learner


@pytest.mark.parametrize("key", KEYS)
def test_a_step_that_is_run_again_is_the_eager_step_or_the_method_says_why_not(key: str) -> None:
    """In float16, whose scale is halved and whose step is left out where gradients overflow, as LDAM's do.

    In float32 the steps of whole trainings are recorded and run again below.
    """
    for stage, rows, previous in trained_stages(key, replace(RECIPE, precision="float16")):
        check(stage, rows, previous)


def test_a_step_that_turns_images_is_the_eager_step() -> None:
    splits = task_data.splits("semi-supervised", apart=2.0, shape=task_data.IMAGE)
    assert splits.unlabeled is not None
    noise = {"strong": Noise()}  # RandAugment waits
    rows = TrainingSet(replace(splits.train, policy=noise), replace(splits.unlabeled, policy=noise))
    (stage,) = method("remixmatch").stages(RECIPE)
    learner: Any = check(stage, rows, None)
    assert learner.host.turned is not None


def test_a_float16_step_that_is_run_again_overflows_as_the_eager_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_scaler, "START", 2.0**24)  # overflows while warming up, recorded and run again
    ((stage, rows, previous),) = trained_stages("ce", replace(RECIPE, precision="float16"))
    (network,) = float16_networks(check(stage, rows, previous))
    assert float(network.gradient_scale) < 2.0 ** (24 - WARM - 1)


@pytest.mark.parametrize("key", KEYS)
def test_nothing_in_a_step_is_made_on_the_cpu(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device "meta" has shapes and no values, and refuses tensors of the CPU."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which knows no such device
    for stage, rows, previous in trained_stages(key):
        if stage.eager:
            continue
        built, _ = begun(stage, rows, copy.deepcopy(previous))
        drawn = tree_map_only(torch.Tensor, lambda values: values.to("meta"), draws(built)[0])
        there = on_meta(built)
        optimizer = stage.start(there.learner)
        progress, watch = StepValues("meta").progress, EpochMonitor(3, "meta")
        for _ in range(WARM):
            one_step(there, drawn, optimizer, progress, watch)


def on_meta(built: Built) -> Built:
    learner, rows, update = built
    for cell in getattr(getattr(learner, "criterion", None), "__closure__", None) or ():
        if isinstance(cell.cell_contents, torch.Tensor):
            cell.cell_contents = cell.cell_contents.to("meta")  # made on the device of the data otherwise
    if isinstance(update, torch.nn.Module):
        update.to("meta")
    return Built(learner.to("meta"), sources_on_meta(rows), update)


def sources_on_meta(rows: Any) -> Any:
    """The rows moved, or all those that the data are made of."""
    if isinstance(rows, Examples):
        return rows.to("meta")
    if isinstance(rows, Divided):
        return replace(rows, parts=tuple(map(sources_on_meta, rows.parts)))
    parts = {field.name: getattr(rows, field.name) for field in fields(rows)}
    return replace(rows, **{name: sources_on_meta(part) for name, part in parts.items() if hasattr(part, "batch_of")})


class TestTheCheck:
    """What it must not let pass."""

    def stage(self, update: Any, eager: str = "") -> Stage:
        (plain,) = method("ce").stages(RECIPE)
        return replace(plain, eager=eager, build=lambda rows, left: plain.build(rows, left)._replace(update=update))

    def test_a_declared_stage_that_could_be_captured(self) -> None:
        with pytest.raises(AssertionError, match=r"for no reason.*nothing in it waits"):
            check(self.stage(Descend(), eager="for no reason"), data("ce"), None)

    def test_a_step_that_decides_by_its_number(self) -> None:
        class EveryOther(Descend):
            steps = 0

            def __call__(self, learner: Any, batch: Batch, optimizer: Any, progress: Any) -> Step:
                self.steps += 1
                if self.steps % 2:
                    return super().__call__(learner, batch, optimizer, progress)
                return learner.training_step(batch, progress)

        with pytest.raises(AssertionError):
            check(self.stage(EveryOther()), data("ce"), None)

    @pytest.mark.parametrize(
        "wait",
        [
            lambda losses: losses.sum().item(),
            lambda losses: bool((losses > 0).all()),
            lambda losses: losses[losses > 1],
            lambda losses: losses.detach().clone().masked_select(losses > 1),
            lambda losses: torch.nonzero(losses > 1),
            lambda losses: losses.detach().unique(),
            lambda losses: losses.tolist(),
            lambda losses: losses.detach().numpy(),
            lambda losses: losses.cpu(),
            lambda losses: losses * torch.tensor([2.0]),
            lambda losses: losses.detach().clone().index_put_((losses > 1,), torch.zeros(())),
        ],
    )
    def test_a_step_that_waits(self, wait: Any) -> None:
        class Waiting(Descend):
            def __call__(self, learner: Any, batch: Batch, optimizer: Any, progress: Any) -> Step:
                step = super().__call__(learner, batch, optimizer, progress)
                wait(step.losses)
                return step

        with pytest.raises(AssertionError, match="waits for the device"):
            check(self.stage(Waiting()), data("ce"), None)


def test_explain_says_which_stage_is_not_captured_and_why() -> None:
    assert explained("ce")["eager"] == {}
    assert explained("trees")["eager"] == {"fit": "a scikit-learn classifier predicts on the CPU"}


@pytest.mark.parametrize("key", KEYS)
def test_a_training_whose_steps_are_captured_is_the_eager_training(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over epochs: what a learner changes between them must reach the graph."""
    monkeypatch.setattr(capture, "recorder_for", lambda device: Replayed)
    monkeypatch.setattr(Replayed, "made", [])
    lengths = [stage.epochs for stage in method(key).stages(RECIPE) if not stage.eager]
    longest = max(lengths, default=RECIPE.epochs)  # of many stages each is short
    recipe = replace(RECIPE, epochs=RECIPE.epochs * -(-4 // max(longest, 1)))
    eager, captured = (Training(method(key).stages(recipe), data(key), capture=captured) for captured in (False, True))
    theirs, ours = list(eager), list(captured)
    if not all(stage.eager for stage in captured.stages if stage.epochs):
        assert sum(one.replays for one in Replayed.made) > 0
    assert [record["loss"] for record in ours] == pytest.approx([record["loss"] for record in theirs], rel=1e-4)
    for name, value in eager.learner.state_dict().items():
        torch.testing.assert_close(captured.learner.state_dict()[name], value, rtol=1e-4, atol=1e-5)
