"""How many trainings are made side by side in one process: all that come, or as many as make a GPU faster."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

MEMORY = 1.3
"""Free memory for a further training, in units of the most that one has taken."""
GAIN = 1.1
"""Steps per second with one more over those without it, below which no further one is tried."""
WARM_UP, WINDOW = 10, 50
"""Steps of each training before the measurement, and during it."""
SECONDS = 1.0
"""Of a measurement, at least."""
MOST = 12
"""Trainings at once on a GPU where nothing else is asked; a twelfth raises the steps per second by 9 % at best."""


class Admission:
    """Admit up to `most` trainings at once; None admits all that come."""

    def __init__(self, most: int | None = None) -> None:
        self._limit = math.inf if most is None else most

    def admits(self, running: int) -> bool:
        """Return whether a further training may begin beside so many."""
        return running < self._limit

    def begin(self) -> None:
        """Take note that one is about to begin."""

    def note_step(self, running: int) -> None:
        """Take note of a step while so many are running."""

    def end(self) -> None:
        """Take note that one has ended."""

    def lack_memory(self, running: int) -> None:
        """Take note that one failed for want of memory, beside so many."""


class ByMeasurement(Admission):
    """Begin with one; admit a further one while memory is free and the last one has raised the steps per second.

    Where one ends, another takes its place without a measurement.

    Args:
        most: trainings at once, by default `MOST`.
        free_memory: returns the free bytes of the device.
        clock: returns seconds.
    """

    def __init__(
        self, most: int | None, free_memory: Callable[[], int], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(most or MOST)
        self.level = 1
        self._free_memory, self._clock = free_memory, clock
        self._settled = False  # whether the level is final
        self._before = 0.0  # steps per second at the level below
        self._footprint = 0  # bytes of the largest
        self._cold = 0  # have begun, and may not have taken their memory yet
        self._free_before = 0
        self._steps = 0  # since the last one began or ended
        self._start = 0.0

    def admits(self, running: int) -> bool:
        """Return whether a further one may begin: in place of one that ended, or as one more than before."""
        return running == 0 or (running < min(self.level, self._limit) and self._fits())

    def begin(self) -> None:
        """Measure from here on."""
        if not self._cold:
            self._free_before = self._free_memory()
        self._cold += 1
        self._steps = 0

    def note_step(self, running: int) -> None:
        """Count the step; at the end of a measurement decide about the next level."""
        self._steps += 1
        if self._steps == WARM_UP * running:
            self._start = self._clock()
        if self._steps < (WARM_UP + WINDOW) * running or (self._settled and not self._cold):
            return
        seconds = self._clock() - self._start
        if seconds >= SECONDS:
            self._measure(running, (self._steps - WARM_UP * running) / seconds)
            self._steps = 0

    def end(self) -> None:
        """Measure anew: steps per second are those of fewer trainings now."""
        self._steps = 0

    def lack_memory(self, running: int) -> None:
        """Admit no more than are running."""
        self._settle(max(running, 1))

    def _measure(self, running: int, rate: float) -> None:
        if self._cold:
            self._footprint = max(self._footprint, (self._free_before - self._free_memory()) // self._cold)
            self._cold = 0
        if self._settled or running < self.level:
            return
        log.info("%d at once: %.0f steps per second", running, rate)
        if rate < GAIN * self._before:
            self._settle(running if rate >= self._before else running - 1)
        elif running < self._limit:
            self._before, self.level = rate, running + 1

    def _settle(self, level: int) -> None:
        log.info("%d trainings at once from here on", level)
        self.level, self._settled = level, True

    def _fits(self) -> bool:
        return self._free_memory() >= MEMORY * self._footprint * (1 + self._cold)
