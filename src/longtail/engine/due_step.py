"""An optimiser step that a training is about to make: by itself, or together with the steps of other trainings."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

import torch

from longtail.engine.stage import Built
from longtail.facts.types import Batch, Record, Step


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


class EndOfEpoch:
    """All steps of an epoch were made; a training that goes on waits for the device, and a consumer may wait first."""


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
