"""The plain step: one backward pass, one step of the optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Progress, Step


class StatelessUpdate:
    """The empty state of an update that keeps nothing from step to step."""

    def state_dict(self) -> dict[str, Any]:
        """Return no state."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore no state."""


class Descend(StatelessUpdate):
    """Descend the gradient of the learner's loss on this batch."""

    def __call__(self, learner: Learner, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Make one optimiser step and return what the learner computed for it."""
        for group in optimizer.param_groups:  # as zero_grad does, whose bookkeeping takes longer than this
            for parameter in group["params"]:
                parameter.grad = None
        step = learner.training_step(batch, progress)
        step.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return step
