"""The precision of training: chosen once by the hardware's flags, and recorded."""

from __future__ import annotations

import torch

from longtail.engine.machine import machine
from longtail.models import RESIDUAL

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
CPU_FLAGS = ("amx_bf16", "avx512_bf16")
"""CPU flags of units that multiply bfloat16; without them bfloat16 was 2.5x slower than float32."""


def resolved(precision: str, model: str, device: str) -> str:
    """Resolve a precision, "auto" included, to "float32", "bfloat16" or "float16".

    "auto" is float32, but for a convolutional network that is large enough to gain (`models.RESIDUAL`): bfloat16 on a
    CPU with bfloat16 units or a GPU of compute capability 8 or more, float16 on a GPU of 7.0 to 7.5, which multiplies
    only that. Since it depends on the machine, the result is recorded in config.json and used on resume.
    """
    if precision != "auto":
        return precision
    if model not in RESIDUAL:
        return "float32"
    if has_bfloat16(device):
        return "bfloat16"
    return "float16" if has_float16(device) else "float32"


def has_bfloat16(device: str) -> bool:
    """Return whether the device multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device)[0] >= 8
    return any(flag in machine()["flags"] for flag in CPU_FLAGS)


def has_float16(device: str) -> bool:
    """Return whether the device multiplies float16 faster than float32: a GPU of compute capability 7.0 or more."""
    return device.startswith("cuda") and torch.cuda.get_device_capability(device)[0] >= 7
