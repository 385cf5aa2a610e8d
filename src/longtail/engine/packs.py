"""Which trainings have their steps made at once: packs are made and dissolved as trainings come, change and end."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from longtail.engine.due_step import DueStep
from longtail.engine.pack import Pack, signature


class Packs:
    """The packs of one process; a member is whatever identifies a training."""

    def __init__(self) -> None:
        self._packs: dict[tuple[Hashable, ...], Pack] = {}
        self._signatures: dict[Hashable, tuple[Any, Any]] = {}  # of the steps of a member's learner

    def kind(self, member: Hashable, due: DueStep) -> Any:
        """Return what a step has in common with others that can be made with it; None for none."""
        if type(due) is not DueStep:
            return None
        learner, found = self._signatures.get(member, (None, None))
        if learner is not due.built.learner:  # of the next stage
            self.forget(member)
            found = signature(due)
            self._signatures[member] = (due.built.learner, found)
        inputs: Any = due.batch["inputs"]
        stepped = bool(due.optimizer.state)  # momenta exist from the first step on
        return (found, inputs.shape) if found is not None and stepped else None

    def pack(self, members: Sequence[Hashable], dues: Sequence[DueStep]) -> Pack | None:
        """Return the pack of these steps; None where one is alone, or belongs to a pack with others."""
        if len(members) < 2:
            return None
        key = tuple(members)
        if key not in self._packs:
            overlapping = [others for others in self._packs if set(others) & set(key)]
            if any(set(others) - set(key) for others in overlapping):
                return None  # the others' batches are of another size now
            for others in overlapping:
                del self._packs[others]
            self._packs[key] = Pack(dues)
        return self._packs[key]

    def forget(self, member: Hashable) -> None:
        """Dissolve the packs of a training that has ended; those that go on are packed anew."""
        self._signatures.pop(member, None)
        self._packs = {members: pack for members, pack in self._packs.items() if member not in members}
