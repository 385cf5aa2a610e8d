"""The same bytes from the same command on a GPU, where some kernels add up in whatever order threads arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""What cuBLAS needs in the environment to choose the same algorithm always, of the two values that NVIDIA names."""


@contextmanager
def deterministic(device: str, wanted: bool) -> Iterator[None]:
    """Inside, operations on a GPU have one result; afterwards torch's settings are as before. No effect on a CPU.

    Raises:
        RuntimeError: inside, by torch, for an operation that has no such implementation; it names the operation.
    """
    if not wanted or torch.device(device).type != "cuda":
        yield
        return
    os.environ.setdefault(*WORKSPACE)
    backend, before = torch.backends.cudnn, torch.are_deterministic_algorithms_enabled()
    settings = (backend.deterministic, backend.benchmark)
    try:
        torch.use_deterministic_algorithms(True)
        backend.deterministic, backend.benchmark = True, False
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        backend.deterministic, backend.benchmark = settings
