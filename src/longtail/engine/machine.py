"""On what a training ran: recorded beside it, never part of its identity."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
"""Units of a CPU that decide how fast a network trains; x86 and ARM."""


@cache
def machine(device: str = "cpu") -> dict[str, Any]:
    """cpu, cores this process may use, flags of the CPU, and the gpu where the device is one."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    units = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    found = {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in units.split()],
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
