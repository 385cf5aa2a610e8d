"""Whole training steps as CUDA graphs: recorded once per batch shape, then replayed with one launch.

An eager step of a small network waits for launches, not for arithmetic. What makes a step recordable (nothing waits for
the device, nothing depends on values or on the number of the step) is checked over the whole catalogue on the CPU.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from longtail.engine.due_step import DueStep, EagerSteps, Steps
from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.stage import Built, Stage
from longtail.engine.step_values import StepValues
from longtail.facts.types import Drawn

log = logging.getLogger(__name__)

WARM_UP = 3
"""Steps of a batch shape before its graph is recorded; they are steps of the training like all others."""
MOST_GRAPHS = 4
"""Graphs of a stage, each with memory of its own; further batch shapes run operation by operation."""


class Recorder(Protocol):
    """Records what a function does on the device, once, and does it again."""

    def record(self, function: Callable[[], None]) -> None:
        """Record the function; afterwards it has been run once."""

    def replay(self) -> None:
        """Run again what was recorded, on the present contents of its tensors."""


class CudaGraph:
    """The recorder for a GPU."""

    def __init__(self) -> None:
        self._graph: Any = None

    def record(self, function: Callable[[], None]) -> None:
        """Record the function on the current stream, which must not be the default stream, and run the graph once."""
        graph = torch.cuda.CUDAGraph()
        # thread_local: threads that pin memory for a data loader may go on
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            function()
        self._graph = graph
        self.replay()

    def replay(self) -> None:
        """Launch the graph on the current stream."""
        self._graph.replay()


def recorder_for(device: str) -> Callable[[], Recorder] | None:
    """Return what records steps on this device; None where steps are not recorded."""
    return CudaGraph if torch.device(device).type == "cuda" else None


def steps_of(
    stage: Stage, built: Built, optimizer: torch.optim.Optimizer, num_classes: int, device: str, *, capture: bool = True
) -> Steps:
    """Return what makes the steps of a stage: captured where the device, the stage and its data allow it.

    Args:
        stage: which may say why its steps are eager.
        built, optimizer, num_classes, device: as in `CapturedSteps`.
        capture: False for steps that run operation by operation.
    """
    recorder = recorder_for(device)
    if recorder is None or not capture or stage.eager or built.data.eager:
        return EagerSteps(built, optimizer, num_classes, device)
    return CapturedSteps(built, optimizer, num_classes, device, recorder)


class CapturedSteps:
    """The steps of one stage, as `EagerSteps`; of each batch shape all but the first few are replays of one graph.

    The first `WARM_UP` steps of a shape run operation by operation (libraries choose their algorithms, the optimiser
    makes its state), and are steps of the training: nothing has to be undone. Progress, learning rate, rows and random
    numbers of a step are copied into tensors that the graph reads. The graph has the optimiser's step, moving averages,
    memories and the epoch's statistics in it.

    Args:
        built: what the stage trains.
        optimizer: its learning rates become one tensor on the device, and torch's own optimisers take their fused step.
        num_classes: C.
        device: of the learner.
        recorder: makes the recorder of a batch shape.
    """

    def __init__(
        self,
        built: Built,
        optimizer: torch.optim.Optimizer,
        num_classes: int,
        device: str,
        recorder: Callable[[], Recorder],
    ) -> None:
        self.built = built
        self.optimizer = optimizer
        self.values = StepValues(device)
        self.values.drive(optimizer)
        self.monitor = EpochMonitor(num_classes, device)
        self._recorder = recorder
        self._device = torch.device(device)
        self._shapes: dict[Any, _Shape] = {}
        self._stream = _new_stream(self._device)
        self._addresses: list[int] = []

    def begin_epoch(self) -> EpochMonitor:
        """Return the statistics of a new epoch; a graph whose tensors were exchanged meanwhile is recorded anew."""
        self.monitor.reset()
        addresses = [tensor.data_ptr() for tensor in self._tensors()]
        if addresses != self._addresses:
            for shape in self._shapes.values():
                shape.recorded = None
        return self.monitor

    def due(self, drawn: Drawn, progress: float, lr: float) -> DueStep:
        """Return the step on this batch."""
        leaves, structure = tree_flatten(dict(drawn))
        key = (structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._shapes:
            self._shapes[key] = _Shape(tree_map_only(Tensor, torch.empty_like, drawn), len(self._shapes) >= MOST_GRAPHS)
        return _CapturedStep(self, self._shapes[key], leaves, progress, lr)

    def finish(self, due: DueStep) -> None:
        """Do nothing: all of the step is in its `run`."""

    def optimizer_state(self) -> dict[str, Any]:
        """Return the optimiser's state, its learning rate a number."""
        return self.values.undriven(self.optimizer.state_dict())

    def run(self, shape: _Shape, leaves: list[Tensor], progress: float, lr: float) -> None:
        """Make one step."""
        with self._own_stream():
            self.values.write(progress, lr)
            torch._foreach_copy_(shape.leaves, leaves)
            if shape.recorded is not None:
                shape.recorded.replay()
            elif shape.steps < WARM_UP or shape.eager:
                self._warm_up(shape)
            else:
                self._record(shape)
        shape.steps += 1
        self.monitor.count(len(shape.drawn["index"]))

    def _step(self, shape: _Shape) -> None:
        learner, data, update = self.built
        batch = data.batch_of(shape.drawn)
        step = update(learner, batch, self.optimizer, self.values.progress)
        learner.after_update(batch, step, self.values.progress)
        self.monitor.add(step, batch)
        self.monitor.add_up()

    def _warm_up(self, shape: _Shape) -> None:
        before = _generator_state(self._device)
        self._step(shape)
        if getattr(self.built.update, "restores_generators", False) and not shape.eager:
            shape.eager = not torch.equal(before, _generator_state(self._device))
            if shape.eager:
                log.info("steps run operation by operation: their passes have to draw the same random numbers")

    def _record(self, shape: _Shape) -> None:
        recorder = self._recorder()
        try:
            recorder.record(lambda: self._step(shape))
        except Exception as error:  # whatever a library does not allow while recording; nothing has run on the device
            log.warning(
                "steps run operation by operation, since they cannot be recorded (%s: %s); --no-capture avoids the try",
                type(error).__name__, str(error).partition("\n")[0],
            )  # fmt: skip
            shape.eager = True
            self.monitor.drop()
            self._step(shape)
            return
        shape.recorded = recorder
        self._addresses = [tensor.data_ptr() for tensor in self._tensors()]

    def _tensors(self) -> Iterator[Tensor]:
        """Everything a graph reads that is not its own."""
        yield from self.built.learner.state_dict().values()
        update = self.built.update
        yield from (value for value in update.state_dict().values() if isinstance(value, Tensor))
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))

    @contextmanager
    def _own_stream(self) -> Iterator[None]:
        """Leave the default stream, on which nothing can be recorded; a training that has a stream stays on it."""
        current = None if self._stream is None else torch.cuda.current_stream(self._device)
        if current is None or current != torch.cuda.default_stream(self._device):
            yield
            return
        assert self._stream is not None
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)


class _Shape:
    """The batches of one shape: the tensors that a graph reads them from, and the graph."""

    def __init__(self, drawn: Drawn, eager: bool) -> None:
        self.drawn = drawn
        self.leaves: list[Tensor] = tree_flatten(dict(drawn))[0]
        self.steps = 0
        self.eager = eager
        self.recorded: Recorder | None = None


class _CapturedStep(DueStep):
    """One step; its `run` includes what follows the update."""

    def __init__(self, steps: CapturedSteps, shape: _Shape, leaves: list[Tensor], progress: float, lr: float) -> None:
        super().__init__(steps.built, shape.drawn, steps.optimizer, progress)  # type: ignore[arg-type]
        self._make = partial(steps.run, shape, leaves, progress, lr)

    def run(self) -> None:
        """Make the step, with everything that belongs to it."""
        start = time.perf_counter()
        self._make()
        self.seconds = time.perf_counter() - start


def _new_stream(device: torch.device) -> torch.cuda.Stream | None:
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


def _generator_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
