"""Which precision pays: decided by the hardware's flags, once, and written down."""

from __future__ import annotations

from pathlib import Path

import torch

PRECISIONS = ("auto", "float32", "bfloat16")
CPU_FLAGS = ("amx_bf16", "avx512_bf16")
"""Units that multiply bfloat16; CPUs without them got 2.5x slower with it."""


def resolved(precision: str, model: str, device: str) -> str:
    """What "auto" means here: "float32" or "bfloat16".

    bfloat16 for a network of convolutions that is large enough to gain (resnet32), on a CPU with bfloat16 units or
    a GPU of compute capability 8 or more; float32 everywhere else. The answer depends on the machine: it stands in
    config.json and is kept on resume.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if model == "resnet32" and has_bfloat16(device) else "float32"


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device)[0] >= 8
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    return any(f" {flag}" in flags for flag in CPU_FLAGS)
