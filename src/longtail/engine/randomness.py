"""Derive every random number from (seed, stage, epoch), so that there is no generator state to save.

Derived by index, not by use: two methods with one seed start from the same weights and see their batches in
the same order, which pairs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

PURPOSES = ("global", "order", "build")


def derived(seed: int, stage: int, epoch: int, purpose: str) -> int:
    """Return a 63-bit seed for one purpose in one epoch of one stage."""
    words = np.random.SeedSequence([seed, stage, epoch, PURPOSES.index(purpose)]).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])


def generator(seed: int, stage: int, epoch: int, purpose: str) -> torch.Generator:
    """Return a new CPU generator for one purpose."""
    return torch.Generator().manual_seed(derived(seed, stage, epoch, purpose))


@contextmanager
def seeded(seed: int, stage: int, epoch: int, purpose: str = "global", device: str = "cpu") -> Iterator[None]:
    """Inside, torch's global generator (initialisation, dropout) has a derived seed; afterwards its former state."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        number = derived(seed, stage, epoch, purpose)
        # on the CPU only its generator: those that are not forked must not change
        torch.manual_seed(number) if devices else torch.default_generator.manual_seed(number)
        yield
