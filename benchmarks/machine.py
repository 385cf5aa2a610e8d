"""What every result is committed with: machine, CPU flags, versions, command."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import longtail

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def facts() -> dict[str, Any]:
    """Machine and versions, as plain values."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if f" {flag}" in text],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "longtail": longtail.__version__,
        "command": " ".join(["python", *map(_shown, sys.orig_argv[1:])]),
    }


def _shown(argument: str) -> str:
    """An argument; of an absolute path the name, which says enough."""
    return Path(argument).name if Path(argument).is_absolute() else argument
