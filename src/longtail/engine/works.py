"""What is made side by side: a work, its trainings, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from longtail.engine.due_step import EndOfEpoch, Events
from longtail.engine.lanes import Lane

Work = Generator[Sequence[Events], None, Any]
"""Yields trainings that are to be made side by side, goes on when all have ended, and returns its result."""


@dataclass(frozen=True)
class Pending:
    """A work that has not begun: `begin` starts it, or resumes it from its checkpoints."""

    key: Any
    begin: Callable[[], Work]


@dataclass(frozen=True)
class Ending:
    """How a work ended, after so many seconds: with its result, or with an error."""

    key: Any
    seconds: float
    result: Any = None
    error: Exception | None = None


class BegunTraining:
    """One training at work, and its lane."""

    def __init__(self, work: BegunWork, events: Events, lane: Lane) -> None:
        self.work, self.events, self.lane = work, events, lane
        self.end: EndOfEpoch | None = None  # at which it is
        self.waiting_since: float | None = None
        self.waited = 0.0  # its share of the seconds that it has waited for the device

    def wait(self) -> None:
        """Wait until it may go on."""
        self.lane.wait(drained=self.end is not None)

    def count_wait(self, sharing: int) -> None:
        """Add its share of a wait that is over to its seconds, where so many wait for one device."""
        if self.waiting_since is not None:
            self.waited += (time.perf_counter() - self.waiting_since) / sharing
            self.waiting_since = None
        if self.end is not None:
            self.end.seconds, self.waited = self.waited, 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the device lets it go on."""
        return self.lane.is_ready(drained=self.end is not None)


class BegunWork:
    """One work that has begun."""

    def __init__(self, pending: Pending, lane: Lane) -> None:
        self.pending, self.lane = pending, lane
        self.start = time.perf_counter()
        self.generator = pending.begin()
        self.trainings: list[BegunTraining] = []
        self.is_open = True
