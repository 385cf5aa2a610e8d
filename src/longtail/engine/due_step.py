"""The optimiser steps that a training is about to make: by itself, or together with the steps of other trainings."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch

from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.stage import Built
from longtail.facts.types import Batch, Drawn, Record, Step


@dataclass
class DueStep:
    """The step that `update(learner, batch, optimizer, progress)` makes, and afterwards its result.

    `seconds`: what the step took, its share where it was made together with others.
    """

    built: Built
    batch: Batch
    optimizer: torch.optim.Optimizer
    progress: float
    step: Step | None = None
    seconds: float = 0.0

    def run(self) -> None:
        """Make the step by itself."""
        start = time.perf_counter()
        self.step = self.built.update(self.built.learner, self.batch, self.optimizer, self.progress)
        self.seconds = time.perf_counter() - start

    def result(self) -> Step:
        """Return what the learner computed, and forget it here."""
        step, self.step = self.step, None
        if step is None:
            raise RuntimeError("the step that was due has not been made")
        return step


class Steps(Protocol):
    """Makes the steps of one stage."""

    def begin_epoch(self) -> EpochMonitor:
        """Return what gathers the statistics of the epoch that begins."""
        ...

    def due(self, drawn: Drawn, progress: float, lr: float) -> DueStep:
        """Return the step on a batch, for the consumer of the training to make."""
        ...

    def finish(self, due: DueStep) -> None:
        """Do what follows when it has been made."""
        ...

    def optimizer_state(self) -> dict[str, Any]:
        """Return the optimiser's state, from which any device can go on."""
        ...


class EagerSteps:
    """Steps that run operation by operation.

    Args:
        built: what the stage trains.
        optimizer: of its parameters.
        num_classes: C.
        device: of the learner.
    """

    def __init__(self, built: Built, optimizer: torch.optim.Optimizer, num_classes: int, device: str) -> None:
        self.built = built
        self.optimizer = optimizer
        self._new_monitor = partial(EpochMonitor, num_classes, device)
        self.monitor = self._new_monitor()

    def begin_epoch(self) -> EpochMonitor:
        """Return new statistics."""
        self.monitor = self._new_monitor()
        return self.monitor

    def due(self, drawn: Drawn, progress: float, lr: float) -> DueStep:
        """Return the step on this batch."""
        set_learning_rate(self.optimizer, lr)
        return DueStep(self.built, self.built.data.batch_of(drawn), self.optimizer, progress)

    def finish(self, due: DueStep) -> None:
        """Let the learner store what follows from the update, and note the step."""
        step = due.result()
        self.built.learner.after_update(due.batch, step, due.progress)
        self.monitor.note(step, due.batch)

    def optimizer_state(self) -> dict[str, Any]:
        """Return the optimiser's state."""
        return self.optimizer.state_dict()


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group, a multiple of `lr` where it has a "rate" of its own."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("rate", 1.0)


@dataclass
class EndOfEpoch:
    """All steps of an epoch were made; a training that goes on waits for the device, and a consumer may wait first.

    `seconds`: the training's share of the time that the consumer has waited.
    """

    seconds: float = 0.0


Events = Generator[Record | DueStep | EndOfEpoch, None, None]
"""The records of a training, and before each of them its optimiser steps for the consumer to make."""


def next_record(events: Events) -> Record:
    """Return the next record, making the steps before it one by one.

    Raises:
        StopIteration: there is no further one.
    """
    for event in events:
        if isinstance(event, dict):
            return event
        if isinstance(event, EndOfEpoch):
            continue
        try:
            event.run()
        except BaseException:
            events.close()  # what the training had entered ends now, not when it is collected
            raise
    raise StopIteration
