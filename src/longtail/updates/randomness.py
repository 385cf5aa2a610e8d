"""Several passes of one step with the same random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import nn


@contextmanager
def restored_generators(learner: nn.Module) -> Iterator[None]:
    """On exit, restore torch's global generators, of the CPU and of the learner's GPUs, to their state on entry.

    For all but the last pass of a step: each pass has the same dropout, and the next step begins with the random
    numbers that it has after a single pass. Within a CUDA graph generators cannot be set and nothing is restored, so
    a step that draws random numbers in several passes must not be captured.
    """
    devices = {p.device for p in learner.parameters() if p.is_cuda}
    if devices and torch.cuda.is_current_stream_capturing():
        yield
        return
    with torch.random.fork_rng(devices=sorted(devices, key=str)):
        yield


@final
class Draws:
    """The random numbers from here on, to be drawn once more; within a CUDA graph `again` does nothing, as above."""

    def __init__(self, module: nn.Module) -> None:
        self.devices = sorted({p.device for p in module.parameters() if p.is_cuda}, key=str)
        self.capturing = bool(self.devices) and torch.cuda.is_current_stream_capturing()
        self.states = [] if self.capturing else [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self.devices)]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Inside, torch's global generators begin where this began; on exit they go on where they were."""
        if self.capturing:
            yield
            return
        with torch.random.fork_rng(devices=self.devices):
            torch.set_rng_state(self.states[0])
            for state, device in zip(self.states[1:], self.devices, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
