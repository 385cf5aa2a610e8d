"""Steps recorded and replayed by the engine, on the CPU with a recorder of the tests in place of CUDA graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from tests.methods import task_data
from tests.methods.recorded_step import Replayed
from tests.wrapped_rows import WrappedRows
from torch import nn

from longtail.data import TrainingSet
from longtail.engine import Recipe, Stage, Training, capture
from longtail.facts.types import Record
from longtail.methods import method
from longtail.updates import SAM, Descend

recorder_for = capture.recorder_for  # before it is replaced
RECIPE = Recipe(epochs=6, batch_size=16, model="mlp", model_args={"hidden": (8,)})
ROWS = 51  # 3 batches of 16 and one of 3
FULL, LAST = divmod(ROWS, 16)


@pytest.fixture(autouse=True)
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[Replayed]:
    monkeypatch.setattr(capture, "recorder_for", lambda device: Replayed)
    monkeypatch.setattr(Replayed, "made", [])
    return Replayed.made


def data() -> TrainingSet:
    splits = task_data.splits("supervised", apart=2.0)
    return TrainingSet(replace(splits.train, policy={}))


def training(key: str = "ldam-drw", change: Callable[[Stage], Stage] = lambda stage: stage, **options: Any) -> Training:
    recipe = options.pop("recipe", RECIPE)
    return Training([change(stage) for stage in method(key).stages(recipe)], data(), **options)


def of_update(update: Any) -> Callable[[Stage], Stage]:
    """A change of a stage: the same with another update."""
    return lambda stage: replace(stage, build=lambda rows, left: stage.build(rows, left)._replace(update=update()))


def plain(records: list[Record]) -> list[Record]:
    return [{name: value for name, value in record.items() if "seconds" not in name} for record in records]


def same(one: Training, other: Training, **tolerance: float) -> None:
    for name, value in one.learner.state_dict().items():
        torch.testing.assert_close(other.learner.state_dict()[name], value, **tolerance)


CLOSE = {"rtol": 1e-4, "atol": 1e-5}
EXACT = {"rtol": 0.0, "atol": 0.0}


def test_a_graph_for_each_batch_size_runs_all_but_the_first_steps(replayed: list[Replayed]) -> None:
    eager, captured = training(capture=False), training()
    theirs, ours = list(eager), list(captured)
    assert [one.replays for one in replayed] == [6 * FULL - capture.WARM_UP - 1, 6 - capture.WARM_UP - 1]
    same(eager, captured, **CLOSE)
    for one, other in zip(ours, theirs, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert (one["examples"], one["lr"]) == (other["examples"], other["lr"]) == (ROWS, other["lr"])


def test_the_statistics_of_instance_weights_are_those_of_each_epoch() -> None:
    theirs, ours = list(training("absgd", capture=False)), list(training("absgd"))
    for one, other in zip(ours, theirs, strict=True):
        assert one["mean_weights"] == pytest.approx(other["mean_weights"], rel=1e-3)
        assert one["unweighted_loss"] == pytest.approx(other["unweighted_loss"], rel=1e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stop", [1, 4, 5])
def test_resume_is_exact(optimizer: str, stop: int) -> None:
    recipe = replace(RECIPE, optimizer=optimizer, lr=0.01)
    whole = training(recipe=recipe)
    records = list(whole)
    begun = training(recipe=recipe)
    first = list(islice(begun, stop))
    resumed = training(recipe=recipe, resume=begun.state())
    assert plain(first + list(resumed)) == plain(records)
    same(whole, resumed, **EXACT)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("first", [True, False])
def test_a_checkpoint_is_the_same_for_both_kinds_of_steps(optimizer: str, first: bool) -> None:
    recipe = replace(RECIPE, optimizer=optimizer, lr=0.01)
    whole = training(recipe=recipe, capture=False)
    list(whole)
    begun = training(recipe=recipe, capture=first)
    list(islice(begun, 3))
    state = begun.state()
    for group in state["optimizer"]["param_groups"]:
        assert isinstance(group["lr"], float)
        assert (group["foreach"], bool(group["fused"])) == (True, False)
    resumed = training(recipe=recipe, capture=not first, resume=state)
    list(resumed)
    same(whole, resumed, **CLOSE)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("first", [True, False])
def test_learning_rates_of_modules_are_those_of_eager_steps(optimizer: str, first: bool) -> None:
    """In both directions over a checkpoint."""

    def slow_body(stage: Stage) -> Stage:
        def build(rows: Any, left: Any) -> Any:
            built = stage.build(rows, left)
            return built._replace(learner=built.learner.varied(rates={"body": 0.1, "head.bias": 0.0}))

        return replace(stage, build=build)

    recipe = replace(RECIPE, optimizer=optimizer, lr=0.02)
    whole = training("ce", slow_body, recipe=recipe, capture=False)
    list(whole)
    begun = training("ce", slow_body, recipe=recipe, capture=first)
    last = list(islice(begun, 3))[-1]
    state = begun.state()
    assert [g["lr"] for g in state["optimizer"]["param_groups"]] == [rate * last["lr"] for rate in (0.1, 1.0, 0.0)]
    resumed = training("ce", slow_body, recipe=recipe, capture=not first, resume=state)
    list(resumed)
    same(whole, resumed, **CLOSE)
    even = training("ce", recipe=recipe)
    list(even)
    with pytest.raises(AssertionError):
        same(even, resumed, **CLOSE)


class WithDropout(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.dropout = body, nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.body(x))


def dropping(stage: Stage) -> Stage:
    def build(rows: Any, left: Any) -> Any:
        built = stage.build(rows, left)
        network: Any = built.learner.network
        network.body = WithDropout(network.body)
        return built

    return replace(stage, build=build)


def test_dropout_is_drawn_anew_in_every_replay(replayed: list[Replayed]) -> None:
    eager, captured = training("ce", dropping, capture=False), training("ce", dropping)
    list(eager), list(captured)
    assert replayed[0].replays
    same(eager, captured, **CLOSE)


def test_passes_that_must_have_the_same_dropout_are_not_recorded(
    replayed: list[Replayed], caplog: pytest.LogCaptureFixture
) -> None:
    def both(stage: Stage) -> Stage:
        return of_update(SAM)(dropping(stage))

    eager, captured = training("ce", both, capture=False), training("ce", both)
    with caplog.at_level(logging.INFO):
        list(eager), list(captured)
    assert not replayed
    assert "the same random numbers" in caplog.text
    same(eager, captured, **CLOSE)


def test_sharpness_aware_steps_without_dropout_are_recorded(replayed: list[Replayed]) -> None:
    eager, captured = training("ce", of_update(SAM), capture=False), training("ce", of_update(SAM))
    list(eager), list(captured)
    assert replayed[0].replays
    same(eager, captured, **CLOSE)


def test_a_step_that_cannot_be_recorded_is_made_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    class Refused(Replayed):
        def record(self, function: Callable[[], None]) -> None:
            raise RuntimeError("operation not permitted when stream is capturing")

    def refusing(stage: Stage) -> Stage:
        return stage

    eager, captured = training(capture=False), training(change=refusing)
    list(eager)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "recorder_for", lambda device: Refused)
        records = list(captured)
    same(eager, captured, **CLOSE)
    assert records[-1]["examples"] == ROWS
    assert caplog.text.count("operation not permitted") == 2  # once for each batch size
    assert "--no-capture" in caplog.text


def test_a_graph_is_recorded_anew_when_its_tensors_were_exchanged(replayed: list[Replayed]) -> None:
    eager, captured = training("ce", capture=False), training("ce")
    for both in (eager, captured):
        list(islice(both, 2))
        for buffer in ("mean", "std"):
            part: Any = both.learner.network.standardize  # type: ignore[union-attr]
            part._buffers[buffer] = part._buffers[buffer].clone() + 0.5
        list(both)
    assert len(replayed) == 3  # the large batches twice
    same(eager, captured, **CLOSE)


def test_batches_of_ever_other_sizes_get_no_further_graph(replayed: list[Replayed]) -> None:
    class Sizes(WrappedRows):
        """Of 1 to 7 rows, in turn."""

        def draws(self, progress: float, generator: torch.Generator) -> Iterator[Any]:
            order = torch.randperm(ROWS, generator=generator)
            yield from ({"index": order[:size], "numbers": ()} for size in range(2, 9))

    def sizes(stage: Stage) -> Stage:
        def build(rows: Any, left: Any) -> Any:
            built = stage.build(rows, left)
            return built._replace(data=Sizes(built.data))

        return replace(stage, build=build)

    eager, captured = training("ce", sizes, capture=False), training("ce", sizes)
    list(eager), list(captured)
    assert len(replayed) == capture.MOST_GRAPHS
    same(eager, captured, **CLOSE)


@pytest.mark.parametrize("eager", ["", "for a reason"])
def test_a_stage_that_says_why_not_runs_eagerly(eager: str, replayed: list[Replayed]) -> None:
    list(training("ce", lambda stage: replace(stage, eager=eager)))
    assert bool(replayed) == (not eager)


def test_no_capture_records_nothing(replayed: list[Replayed]) -> None:
    list(training("ce", of_update(Descend), capture=False))
    assert not replayed


@pytest.mark.parametrize(
    ("device", "recorder"), [("cpu", None), ("cuda", capture.CudaGraph), ("cuda:1", capture.CudaGraph)]
)
def test_steps_are_recorded_on_a_gpu(device: str, recorder: Any) -> None:
    assert recorder_for(device) is recorder
