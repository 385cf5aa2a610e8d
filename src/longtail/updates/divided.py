"""An update of its own for each of several learners, where a step trains one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch

from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Progress, Step, Update


@final
class EachExpert:
    """The update of the expert whose rows a batch has, see `data.divided.Divided`.

    Args:
        updates: one for each expert.
    """

    def __init__(self, updates: Sequence[Update]) -> None:
        self.updates = tuple(updates)

    @property
    def restores_generators(self) -> bool:
        """Whether one of them makes several passes with the same random numbers."""
        return any(getattr(update, "restores_generators", False) for update in self.updates)

    def __call__(self, learner: Learner, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Make one step of the learner, whose other experts stay as they are."""
        (k,) = batch["experts"]
        return self.updates[k](learner, batch, optimizer, progress)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all."""
        return {str(k): update.state_dict() for k, update in enumerate(self.updates)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the states of all."""
        for k, update in enumerate(self.updates):
            update.load_state_dict(state_dict[str(k)])
