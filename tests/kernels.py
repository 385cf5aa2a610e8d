"""The kernels of `longtail.functional.gpu`: on a GPU where there is one, else in Triton's interpreter.

The interpreter is chosen when Triton is imported for the first time, so test modules import this one first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from benchmarks.loss_calls import kernels_started
from torch import Tensor

from longtail.functional import gpu, launch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="triton is not installed")

QUIET = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton", "ignore::RuntimeWarning:longtail")
"""The interpreter computes with NumPy, which warns of the infinities that a kernel masks."""


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loss that has a kernel runs by it."""
    monkeypatch.setattr(gpu, "INTERPRETED", DEVICE == "cpu")
    monkeypatch.setattr(launch, "WORKS", {})
    launch.tiles.cache_clear()


@contextmanager
def by_formula() -> Iterator[None]:
    """No loss runs by its kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "works", lambda *_: False)
        yield


def by_kernel(value: Tensor) -> bool:
    return value.grad_fn is not None and type(value.grad_fn).__name__ == "_KernelsBackward"


@contextmanager
def launches() -> Iterator[list[str]]:
    """The names of the kernels that are started meanwhile."""
    started: list[str] = []
    with kernels_started(started.append):
        yield started
