"""What a dry run shows: the plan in numbers, its time and its memory."""

from __future__ import annotations

import json as jsonlib
import os
import time
from pathlib import Path
from typing import Any

from longtail.cli.terminal import say


def show(found: dict[str, Any], json: bool) -> int:
    """Print what `estimate` found."""
    if json:
        print(jsonlib.dumps(found, indent=2))
        return 0
    side = f"{found['jobs']} at a time"
    say(f"data      {found['data']}: {found['train']} training and {found['test']} test examples, "
          f"{found['classes']} classes")  # fmt: skip
    say(f"methods   {', '.join(found['methods'])}")
    folded = f" and {found['folds']} folds" if found["folds"] else ""
    say(f"runs      {found['runs']} with {found['seeds']} seeds{folded} ({found['finished']} finished, "
          f"{found['trainings']} to train, the others share a training), {found['epochs']} epochs, {side}")  # fmt: skip
    say(f"time      about {duration(found['seconds'])}, {duration(found['seconds_per_training'])} a training "
        "(from short trainings of these methods, measured now)")  # fmt: skip
    on_gpu = f", {size(found['gpu_memory'])} on the GPU" if found["gpu_memory"] else ""
    say(f"memory    about {size(found['memory'])}{on_gpu}, with {side}")
    say(f"folder    {found['out']}")
    return 0


def age() -> float:
    """Seconds since this process began, as far as the system tells; else those that it computed."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.process_time()


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever is read at once."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes as MB or GB."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
