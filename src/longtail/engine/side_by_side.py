"""Several trainings in one process, step by step in turn; steps of a kind are made at once (`pack.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from longtail.engine.due_step import DueStep, Events
from longtail.engine.pack import Pack, signature


def side_by_side(trainings: Sequence[Events]) -> None:
    """Make all steps of these trainings; each ends as it would by itself, to the byte.

    Args:
        trainings: the events of each; what reads its records is behind them.

    Raises:
        Exception: of the first training that fails; the others are closed, and resume from their checkpoints.
    """
    turns = _Turns(trainings)
    try:
        while dues := turns.next_steps():
            turns.make(dues)
    finally:
        turns.close()


class _Turns:
    """Which training is at work; torch's global generator and number of threads are as each left them."""

    def __init__(self, trainings: Sequence[Events]) -> None:
        self._outer = torch.get_rng_state()
        self._events = list(trainings)
        self._generators = [self._outer] * len(self._events)
        self._threads = [torch.get_num_threads()] * len(self._events)
        self._at_work: int | None = None
        self._due: dict[int, DueStep] = {}
        self._packs: dict[tuple[int, ...], Pack] = {}
        self._signatures: dict[int, Any] = {}  # of learners

    def next_steps(self) -> dict[int, DueStep]:
        """Let every training go on to its next step; return the steps of those that have one."""
        self._due = {}
        for i, events in enumerate(self._events):
            self._switch(i)
            event = next((event for event in events if isinstance(event, DueStep)), None)
            if event is not None:
                self._due[i] = event
        return self._due

    def make(self, dues: dict[int, DueStep]) -> None:
        """Make these steps, at once where they are of a kind."""
        kinds: dict[Any, list[int]] = {}
        for i, due in dues.items():
            kind = self._kind(due)
            kinds.setdefault(i if kind is None else kind, []).append(i)
        for members in kinds.values():
            pack = self._pack([dues[i] for i in members])
            if pack is not None:
                pack.step([dues[i] for i in members], [partial(self._switch, i) for i in members])
                continue
            for i in members:
                self._switch(i)
                dues[i].run()

    def close(self) -> None:
        """Close what is not finished, and give the global generator its former state."""
        for i, events in enumerate(self._events):
            self._switch(i)
            events.close()
        torch.set_rng_state(self._outer)

    def _kind(self, due: DueStep) -> Any:
        """What a step has in common with others that can be made with it; None for none."""
        if type(due) is not DueStep:  # a captured step
            return None
        learner = due.built.learner
        if id(learner) not in self._signatures:
            self._signatures[id(learner)] = (learner, signature(due))  # the learner, so that its id is not another's
        found = self._signatures[id(learner)][1]
        inputs = due.batch["inputs"]
        if found is None or not isinstance(inputs, torch.Tensor):
            return None
        stepped = bool(due.optimizer.state)  # momenta exist from the first step on
        return (found, inputs.shape) if stepped else None

    def _pack(self, dues: Sequence[DueStep]) -> Pack | None:
        """The pack of these trainings; None where a step is alone, or belongs to a pack with others."""
        if len(dues) < 2:
            return None
        members = tuple(id(due.built.learner) for due in dues)
        if members not in self._packs:
            if any(set(members) & set(others) for others in self._packs):
                return None  # the others' batches are of another size now
            self._packs[members] = Pack(dues)
        return self._packs[members]

    def _switch(self, i: int) -> None:
        if self._at_work == i:
            return
        if self._at_work is not None:
            self._generators[self._at_work] = torch.get_rng_state()
            self._threads[self._at_work] = torch.get_num_threads()
        torch.set_rng_state(self._generators[i])
        if self._threads[i] != torch.get_num_threads():
            torch.set_num_threads(self._threads[i])
        self._at_work = i
