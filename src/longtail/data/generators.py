"""Random generators derived from that of an epoch, so that a further draw changes none of the others."""

from __future__ import annotations

import hashlib

import torch


def derived(generator: torch.Generator, name: str) -> torch.Generator:
    """Return a new CPU generator, seeded by the generator's initial seed and the name of its purpose."""
    digest = hashlib.sha256(f"{generator.initial_seed()}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
