"""Works side by side: what fails leaves the others alone; on a device, each has its stream and its turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.methods.recorded_step import Replayed
from tests.packs import counted_packs
from torch import nn

from longtail.data import load
from longtail.engine import Recipe, capture
from longtail.engine.admission import Admission
from longtail.engine.due_step import DueStep, EndOfEpoch, Events
from longtail.engine.epoch_monitor import FinitenessError
from longtail.engine.lanes import RUN_AHEAD, Cpu, Lane, device_of
from longtail.engine.side_by_side import endings, finish
from longtail.engine.works import Ending, Pending, Work
from longtail.runs.train import Fit

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Step(DueStep):
    """A step of nothing but a function."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def run(self) -> None:
        self.function()


def events(steps: int, function: Callable[[int], Any] = lambda step: None) -> Events:
    for step in range(steps):
        yield Step(partial(function, step))
    yield EndOfEpoch()


def work(*trainings: Callable[[], Events]) -> Callable[[], Work]:
    def begin() -> Work:
        yield [training() for training in trainings]
        return "done"

    return begin


def ended(works: dict[str, Callable[[], Work]], device: Any = None, rule: Admission | None = None) -> dict[str, Ending]:
    found = list(endings([Pending(key, begin) for key, begin in works.items()], device or Cpu(), rule))
    assert len({ending.key for ending in found}) == len(found)
    return {ending.key: ending for ending in found}


def failing(error: BaseException, at: int) -> Callable[[int], None]:
    def function(step: int) -> None:
        if step == at:
            raise error

    return function


class Card(Cpu):
    """A device that makes one step at a time, in the order in which it got them, when it is asked."""

    takes_processes = False

    def __init__(self) -> None:
        self.queue: list[CardLane] = []
        self.lanes: list[CardLane] = []
        self.deepest = self.released = self.asked = 0

    def lane(self) -> Lane:
        self.lanes.append(CardLane(self))
        return self.lanes[-1]

    def lacks_memory(self, error: Exception) -> bool:
        return isinstance(error, torch.OutOfMemoryError)

    def release(self) -> None:
        self.released += 1

    def serve(self) -> None:
        self.asked += 1
        if self.queue and self.asked % 2:
            self.queue.pop(0).waiting -= 1


class CardLane(Lane):
    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card, self.waiting, self.is_closed = card, 0, False

    def note_step(self) -> None:
        self.waiting += 1
        self.card.queue.append(self)
        self.card.deepest = max(self.card.deepest, self.waiting)

    def is_ready(self, *, drained: bool = False) -> bool:
        self.card.serve()
        return self.waiting < (1 if drained else RUN_AHEAD)

    def wait(self, *, drained: bool = False) -> None:
        while not self.is_ready(drained=drained):
            pass

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


class TestFailure:
    @pytest.mark.parametrize("device", [Cpu, Card])
    def test_one_that_fails_leaves_the_others_alone(self, device: type[Cpu]) -> None:
        made: list[int] = []
        broken = RuntimeError("out of order")
        found = ended(
            {
                "a": work(partial(events, 9, made.append)),
                "b": work(partial(events, 9, failing(broken, 4))),
                "c": work(partial(events, 9, made.append)),
            },
            device(),
        )
        assert found["b"].error is broken
        assert (found["a"].result, found["c"].result) == ("done", "done")
        assert sorted(made) == sorted([*range(9), *range(9)])

    def test_the_trainings_of_one_work_fail_together(self) -> None:
        closed: list[str] = []

        def sibling() -> Events:
            try:
                yield from events(9)
            finally:
                closed.append("sibling")

        begun = work(sibling, partial(events, 9, failing(ValueError("no"), 2)))
        found = ended({"a": begun, "b": work(partial(events, 9))})
        assert closed == ["sibling"]
        assert str(found["a"].error) == "no"
        assert found["b"].result == "done"

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_a_work_may_fail_beside_its_trainings(self, where: str) -> None:
        def begin() -> Work:
            if where == "before":
                raise OSError("full")
            yield [events(3)]
            raise OSError("full")

        found = ended({"a": begin, "b": work(partial(events, 9))})
        assert isinstance(found["a"].error, OSError)
        assert found["b"].result == "done"

    def test_an_interrupt_closes_all_and_restores_the_caller(self) -> None:
        closed: list[int] = []
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)

        def interrupted(step: int) -> None:
            torch.rand(7)
            if step == 5:
                raise KeyboardInterrupt

        def noted(which: int) -> Events:
            try:
                yield from events(9, interrupted)
            finally:
                closed.append(which)

        with pytest.raises(KeyboardInterrupt):
            ended({str(i): work(partial(noted, i)) for i in range(3)})
        assert closed == [0, 1, 2]
        assert torch.equal(torch.rand(3), expected)

    def test_one_by_itself_raises(self) -> None:
        with pytest.raises(ValueError, match="no"):
            finish(work(partial(events, 3, failing(ValueError("no"), 1))))
        assert finish(work(partial(events, 3))) == "done"


class TestMemory:
    def test_out_of_memory_beside_others_is_made_again_by_itself_after_them(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        at_work: list[str] = []
        tries: list[int] = []

        def large() -> Events:
            tries.append(len(at_work))
            for _ in range(4):
                if "b" in at_work:
                    yield Step(failing_now)
                yield Step(lambda: None)

        def failing_now() -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        def other() -> Events:
            at_work.append("b")
            yield from events(9)
            at_work.remove("b")

        card = Card()
        with caplog.at_level(logging.WARNING):
            found = ended({"b": work(other), "a": work(large)}, card)
        assert found["a"].result == found["b"].result == "done"
        assert tries == [1, 0]
        assert "a: out of memory beside others; it runs again by itself after them" in caplog.text
        assert card.released >= 2

    def test_out_of_memory_by_itself_is_an_error(self) -> None:
        error = torch.OutOfMemoryError("CUDA out of memory")
        found = ended({"a": work(partial(events, 3, failing(error, 1)))}, Card())
        assert found["a"].error is error

    def test_out_of_memory_ends_admission(self) -> None:
        class Rule(Admission):
            lacking = -1

            def lack_memory(self, running: int) -> None:
                self.lacking = running

        rule = Rule(3)
        error = torch.OutOfMemoryError("CUDA out of memory")
        found = ended({name: work(partial(events, 3, failing(error, 1))) for name in "ab"}, Card(), rule)
        assert rule.lacking == 1
        assert found["a"].error is found["b"].error is error


class TestTurns:
    def test_no_training_runs_far_ahead_and_all_are_made(self) -> None:
        made: list[int] = []
        card = Card()
        found = ended({name: work(partial(events, 40, made.append)) for name in "abc"}, card)
        assert len(made) == 120
        assert all(ending.result == "done" for ending in found.values())
        assert 1 < card.deepest <= RUN_AHEAD
        assert all(lane.is_closed for lane in card.lanes)

    def test_an_epoch_ends_when_the_device_has_made_its_steps(self) -> None:
        card = Card()
        seen: list[int] = []

        def training() -> Events:
            yield from events(6)
            seen.append(card.lanes[0].waiting)

        ended({"a": work(training)}, card)
        assert seen == [0]

    def test_seconds_have_a_share_of_the_waiting(self) -> None:
        class Slow(Card):
            def serve(self) -> None:
                if self.queue and time.perf_counter() > self.free_at:
                    self.free_at = time.perf_counter() + 0.01
                    self.queue.pop(0).waiting -= 1

            free_at = 0.0

        def noted(seed: int) -> Events:
            for event in fit(None, seed, epochs=3, model="linear").events:
                if isinstance(event, dict):
                    seconds.append(event["seconds"])
                yield event

        seconds: list[float] = []
        start = time.perf_counter()
        ended({str(seed): work(partial(noted, seed)) for seed in range(2)}, Slow())
        assert len(seconds) == 6
        assert 0.5 * 0.01 * 24 < sum(seconds) < 1.5 * (time.perf_counter() - start)  # waiting overlaps others' work

    def test_the_next_begins_when_one_has_ended(self) -> None:
        at_work: list[str] = []
        most: list[int] = []

        def training(name: str, steps: int) -> Events:
            at_work.append(name)
            most.append(len(at_work))
            yield from events(steps)
            at_work.remove(name)

        found = ended(
            {name: work(partial(training, name, 2 + i)) for i, name in enumerate("abcde")}, Card(), Admission(2)
        )
        assert len(found) == 5
        assert (len(most), max(most)) == (5, 2)

    def test_random_numbers_and_threads_are_a_trainings_own(self) -> None:
        def training(seed: int) -> Events:
            torch.manual_seed(seed)
            torch.set_num_threads(1 + seed % 2)
            yield from events(5, lambda step: drawn[seed].append((torch.rand(1).item(), torch.get_num_threads())))

        drawn: dict[int, list[Any]] = {seed: [] for seed in range(4)}
        before = torch.get_num_threads()
        ended({str(seed): work(partial(training, seed)) for seed in range(4)}, Card())
        assert torch.get_num_threads() == before
        for seed, values in drawn.items():
            torch.manual_seed(seed)
            assert values == [(torch.rand(1).item(), 1 + seed % 2) for _ in range(5)]


def fit(folder: Path | None, seed: int, spec: str = "ce", **fields: Any) -> Fit:
    generator = torch.Generator().manual_seed(0)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor((40, 20, 10)))
    inputs = torch.randn(len(labels), 4, generator=generator) + labels[:, None]
    recipe = Recipe(**{"epochs": 6, "batch_size": 16, "model": "mlp", **fields})
    return Fit(spec, load(inputs, labels, test=0.2), seed=seed, recipe=recipe, threads=1, folder=folder)


def trained(folder: Path, *arguments: Any, **fields: Any) -> Callable[[], Work]:
    def begin() -> Work:
        one = fit(folder, *arguments, **fields)
        yield [one.events]
        return (one.run.folder / "predictions.safetensors").read_bytes()

    return begin


class TestPacks:
    @pytest.fixture
    def widths(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        return counted_packs(monkeypatch)

    def test_methods_of_one_body_are_made_at_once_and_packed_anew_when_one_ends(
        self, widths: list[int], tmp_path: Path
    ) -> None:
        asked = {("ce", 0): 6, ("focal", 1): 6, ("cb-rs", 0): 3}
        works = {str(key): trained(tmp_path / str(key), key[1], key[0], epochs=epochs) for key, epochs in asked.items()}
        found = ended(works)
        assert widths.count(3) > 5
        assert widths.count(2) > 5
        for key, epochs in asked.items():
            alone = finish(trained(tmp_path / f"alone {key}", key[1], key[0], epochs=epochs))
            assert found[str(key)].result == alone

    def test_a_loss_that_is_not_finite_leaves_the_others_their_bytes(self, widths: list[int], tmp_path: Path) -> None:
        rates = {"a": 0.1, "b": 1e30, "c": 0.1}
        found = ended({key: trained(tmp_path / key, ord(key), lr=lr) for key, lr in rates.items()})
        assert isinstance(found["b"].error, FinitenessError)
        for key in "ac":
            assert found[key].result == finish(trained(tmp_path / f"alone {key}", ord(key)))
        assert widths.count(2) > 5

    def test_a_step_at_once_that_fails_shows_whose_it_was(
        self, widths: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from longtail.learners import SupervisedLearner

        step = SupervisedLearner.training_step
        broken: list[nn.Module] = []

        def sometimes(self: SupervisedLearner, batch: Any, progress: float) -> Any:
            if progress > 0.4 and self.loss.__class__.__name__ == "FocalLoss":
                broken.append(self)
                raise RuntimeError("out of order")
            return step(self, batch, progress)

        monkeypatch.setattr(SupervisedLearner, "training_step", sometimes)
        specs = {"a": "ce", "b": "focal", "c": "cb-rs"}
        found = ended({key: trained(tmp_path / key, 3, spec) for key, spec in specs.items()})
        assert len(broken) == 2  # among the others, and by itself
        assert str(found["b"].error) == "out of order"
        for key in "ac":
            assert found[key].result == finish(trained(tmp_path / f"alone {key}", 3, specs[key]))
        assert set(widths) == {3}


def test_captured_steps_side_by_side_are_those_of_each_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "recorder_for", lambda device: Replayed)
    monkeypatch.setattr(Replayed, "made", [])
    specs = {"a": "ce", "b": "ldam-drw", "c": "sam"}
    found = ended({key: trained(tmp_path / key, ord(key), spec) for key, spec in specs.items()}, Card())
    assert len(Replayed.made) >= 3
    for key, spec in specs.items():
        assert found[key].result == finish(trained(tmp_path / f"alone {key}", ord(key), spec))


@pytest.mark.gpu
@CUDA
class TestOnAGpu:
    def test_each_has_its_stream_and_generator(self) -> None:
        def draw(seed: int) -> None:
            drawn[seed].append((torch.rand(1, device="cuda"), torch.cuda.current_stream()))

        def training(seed: int) -> Events:
            torch.cuda.manual_seed(seed)
            yield from events(5, lambda step: draw(seed))

        drawn: dict[int, list[Any]] = {seed: [] for seed in range(4)}
        outer, state = torch.cuda.current_stream(), torch.cuda.get_rng_state()
        ended({str(seed): work(partial(training, seed)) for seed in range(4)}, device_of("cuda"), Admission())
        assert torch.cuda.current_stream() == outer
        assert torch.equal(torch.cuda.get_rng_state(), state)
        streams = [{stream for _, stream in values} for values in drawn.values()]
        assert all(len(one) == 1 for one in streams)
        assert len(set.union(*streams)) == 4
        for seed, values in drawn.items():
            torch.cuda.manual_seed(seed)
            assert all(torch.equal(value, torch.rand(1, device="cuda")) for value, _ in values)

    def test_graphs_of_two_lanes_draw_their_own_numbers(self) -> None:
        def training(seed: int) -> Events:
            torch.cuda.manual_seed(seed)
            out, graph = torch.zeros(1000, device="cuda"), torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                out.add_(torch.rand(1000, device="cuda"))
            yield from events(50, lambda step: graph.replay())
            sums[seed].append(out.clone())

        sums: dict[int, list[Any]] = {seed: [] for seed in range(3)}
        ended({str(seed): work(partial(training, seed)) for seed in range(3)}, device_of("cuda"), Admission())
        for seed in range(3):
            ended({"alone": work(partial(training, seed))}, device_of("cuda"), Admission())
        torch.cuda.synchronize()
        assert all(torch.equal(*both) for both in sums.values())

    def test_out_of_memory_beside_another_is_made_again(self) -> None:
        free, _ = torch.cuda.mem_get_info()

        def training() -> Events:
            kept = torch.empty(int(free * 0.6), dtype=torch.uint8, device="cuda")
            yield from events(9)
            del kept

        found = ended({name: work(training) for name in "ab"}, device_of("cuda"), Admission())
        assert [ending.error for ending in found.values()] == [None, None]
