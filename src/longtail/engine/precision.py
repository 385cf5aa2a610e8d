"""The precision of training: chosen once by the hardware's flags, and recorded."""

from __future__ import annotations

import torch

from longtail.engine.machine import machine
from longtail.models import RESIDUAL

PRECISIONS = ("auto", "float32", "bfloat16")
CPU_FLAGS = ("amx_bf16", "avx512_bf16")
"""CPU flags of units that multiply bfloat16; without them bfloat16 was 2.5x slower than float32."""


def resolved(precision: str, model: str, device: str) -> str:
    """Resolve a precision, "auto" included, to "float32" or "bfloat16".

    "auto" is bfloat16 for a convolutional network that is large enough to gain (`models.RESIDUAL`), on a CPU with
    bfloat16 units or a GPU of compute capability 8 or more; float32 everywhere else. Since that depends on the machine,
    the result is recorded in config.json and used on resume.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if model in RESIDUAL and has_bfloat16(device) else "float32"


def has_bfloat16(device: str) -> bool:
    """Return whether the device multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device)[0] >= 8
    return any(flag in machine()["flags"] for flag in CPU_FLAGS)
