"""Buffers whose dtype is their module's own move with it and are not narrowed by it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from longtail.facts.fixed_dtype import FixedDtype, widest_float


class Counter(FixedDtype):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.full((2,), 1 / 3, dtype=torch.float64))
        self.register_buffer("absent", None)
        self.inner = nn.Linear(2, 2)


@pytest.mark.parametrize("change", [nn.Module.half, nn.Module.bfloat16, lambda m: m.to(torch.float16)])
def test_a_change_of_dtype_reaches_the_parameters_alone(change) -> None:
    module = Counter()
    before = module.total
    assert change(nn.Sequential(module))[0] is module
    assert module.inner.weight.itemsize == 2
    assert module.total is before
    assert module.absent is None


def test_buffers_move_to_the_device_of_the_module_and_back() -> None:
    module = Counter().to("meta")
    assert module.buffer_device() == module.inner.weight.device == torch.device("meta")
    back = module.to_empty(device="cpu")
    assert (back.total.device.type, back.total.dtype, back.total.shape) == ("cpu", torch.float64, (2,))


def test_a_module_without_buffers_moves_too() -> None:
    assert FixedDtype().half().buffer_device() == torch.get_default_device()


def test_the_widest_dtype_is_float64_but_on_mps() -> None:
    assert widest_float(torch.device("cpu")) == widest_float(torch.device("cuda")) == torch.float64
    assert widest_float(torch.device("mps")) == torch.float32
