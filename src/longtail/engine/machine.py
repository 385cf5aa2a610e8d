"""The machine that a training ran on: recorded with it, never part of its identity."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

from longtail.facts.subprocesses import cores

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
"""Flags of CPU units that decide how fast a network trains; x86 and ARM."""


@cache
def machine(device: str = "cpu") -> dict[str, Any]:
    """Return the CPU's name, the cores this process may use, the CPU's flags, and the GPU's name on a GPU."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    units = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    description = {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in units.split()],
    }
    if device.startswith("cuda"):
        description["gpu"] = torch.cuda.get_device_name(device)
    return description
