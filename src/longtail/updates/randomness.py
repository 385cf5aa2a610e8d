"""Several passes of one step with the same random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
