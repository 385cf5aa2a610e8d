"""The works of one process: which have begun, whose turn it is, and how each ends."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from longtail.engine.admission import Admission
from longtail.engine.due_step import DueStep, EndOfEpoch
from longtail.engine.lanes import Device, Lane
from longtail.engine.packs import Packs
from longtail.engine.works import BegunTraining, BegunWork, Ending, Pending

log = logging.getLogger(__name__)


class Turns:
    """The works that have begun, and whose turn it is."""

    def __init__(self, pending: Iterator[Pending], device: Device, admission: Admission) -> None:
        self._outer = self._at_work = device.outer()
        self._pending: Iterator[Pending] | None = pending
        self._device, self._admission = device, admission
        self._again: list[Pending] = []  # each by itself
        self._works: list[BegunWork] = []
        self._ended: list[Ending] = []
        self._due: dict[Any, list[tuple[BegunTraining, DueStep]]] = {}
        self._packs = Packs()
        self._freed = False  # whether memory was, that the device does not know of

    def admit(self) -> bool:
        """Begin what may begin; return whether anything is at work or has ended."""
        if self._freed:
            self._device.release()
            self._freed = False
        while self._admission.admits(len(self._works)):
            pending = self._next()
            if pending is None:
                break
            self._begin(pending)
        return bool(self._works or self._ended)

    def advance(self) -> None:
        """Let every training go on to its next step, and make it unless it may be made with others."""
        self._due, idle = {}, True
        for work in list(self._works):
            for training in list(work.trainings):
                if not training.is_ready:
                    training.waiting_since = training.waiting_since or time.perf_counter()
                    continue
                idle = False
                self._advance(training)
                if not work.is_open:
                    break
            if work.is_open and not work.trainings:
                idle = False
                self._continue(work)
        if idle and self._works:
            self._works[0].trainings[0].wait()

    def make_packed(self) -> None:
        """Make the steps that are due, at once where they are of a kind."""
        for dues in self._due.values():
            members = [(training, due) for training, due in dues if training.work.is_open]
            pack = self._packs.pack([training for training, _ in members], [due for _, due in members])
            if pack is None:
                for training, due in members:
                    if training.work.is_open:
                        self._make(training, due)
                continue
            try:
                enters = [partial(self.switch, training.lane) for training, _ in members]
                pack.step([due for _, due in members], enters)
            except Exception as error:
                self._fail_together(list({id(one.work): one.work for one, _ in members}.values()), error)

    def ended(self) -> list[Ending]:
        """Return the endings since the last call, for the caller to go on as itself."""
        ended, self._ended = self._ended, []
        if ended:
            self.switch(self._outer)
        return ended

    def switch(self, lane: Lane) -> None:
        """Let a lane be at work."""
        if lane is not self._at_work:
            self._at_work.leave()
            lane.enter()
            self._at_work = lane

    def close(self) -> None:
        """Close what is not finished, and restore the state of the caller."""
        for work in list(self._works):
            self._close(work)
        self.switch(self._outer)

    def _next(self) -> Pending | None:
        """The next work that may begin, None for none now; those that run again when all others have ended."""
        if self._pending is not None:
            self.switch(self._outer)
            if (pending := next(self._pending, None)) is not None:
                return pending
            self._pending = None
        return self._again.pop(0) if self._again and not self._works else None

    def _begin(self, pending: Pending) -> None:
        self._admission.begin()
        self.switch(self._outer)
        work = BegunWork(pending, self._device.lane())
        self._works.append(work)
        self._continue(work)

    def _continue(self, work: BegunWork) -> None:
        """Let a work go on whose trainings have ended."""
        self.switch(work.lane)
        try:
            events = next(work.generator)
        except StopIteration as stop:
            self._close(work)
            self._ended.append(Ending(work.pending.key, time.perf_counter() - work.start, stop.value))
        except Exception as error:
            self._fail(work, error)
        else:
            self.switch(self._outer)
            lanes = [work.lane, *(self._device.lane() for _ in events[1:])]
            work.trainings = [BegunTraining(work, *one) for one in zip(events, lanes, strict=False)]

    def _advance(self, training: BegunTraining) -> None:
        """Let a training go on to its next step."""
        training.count_wait(len(self._works))
        self.switch(training.lane)
        try:
            event = next((event for event in training.events if self._is_due(training, event)), None)
        except Exception as error:
            return self._fail(training.work, error)
        training.end = event if isinstance(event, EndOfEpoch) else None
        if event is None:
            training.work.trainings.remove(training)
            return self._leave(training)
        if isinstance(event, DueStep):
            kind = self._packs.kind(training, event)
            if kind is None:
                self._make(training, event)
            else:
                self._due.setdefault(kind, []).append((training, event))
        return None

    @staticmethod
    def _is_due(training: BegunTraining, event: Any) -> bool:
        """Whether a training does not go on from this event at once."""
        return isinstance(event, DueStep) or (
            isinstance(event, EndOfEpoch) and not training.lane.is_ready(drained=True)
        )

    def _make(self, training: BegunTraining, due: DueStep) -> None:
        """Make one step by itself."""
        self.switch(training.lane)
        try:
            due.run()
            due.seconds, training.waited = due.seconds + training.waited, 0.0
            training.lane.note_step()
        except Exception as error:
            self._fail(training.work, error)
        else:
            self._admission.note_step(len(self._works))

    def _fail(self, work: BegunWork, error: Exception) -> None:
        """End a work with its error, or set it aside where it may have more memory later."""
        others = len(self._works) > 1
        self._close(work)
        if others:
            traceback.clear_frames(error.__traceback__)  # which have tensors
        if others and self._device.lacks_memory(error):
            log.warning("%s: out of memory beside others; it runs again by itself after them", work.pending.key)
            self._admission.lack_memory(len(self._works))
            self._again.append(work.pending)
        else:
            self._ended.append(Ending(work.pending.key, time.perf_counter() - work.start, error=error))

    def _fail_together(self, works: Sequence[BegunWork], error: Exception) -> None:
        """Close works whose step at once failed; by itself each shows whether it was the one."""
        if len(works) == 1:
            return self._fail(works[0], error)
        log.warning("a step of %d runs at once failed (%s); each runs again by itself", len(works), error)
        for work in works:
            self._close(work)
            self._again.append(work.pending)
        return None

    def _close(self, work: BegunWork) -> None:
        """Close what a work has open, and leave its lanes."""
        for training in work.trainings:
            self.switch(training.lane)
            try:
                training.events.close()
            except OSError as error:
                log.warning("no last checkpoint (%s)", error)
            self._leave(training)
        self.switch(work.lane)
        work.generator.close()
        self.switch(self._outer)
        work.lane.close()
        work.is_open, work.trainings = False, []
        self._works.remove(work)
        self._admission.end()
        self._freed = True

    def _leave(self, training: BegunTraining) -> None:
        """Forget a training that has ended."""
        self._packs.forget(training)
        if training.lane is not training.work.lane:
            self.switch(self._outer)
            training.lane.close()
