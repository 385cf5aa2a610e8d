"""Measure everything that a GPU is for: losses, steps, whole trainings, methods, tests; in 8 minutes on one card.

    python -m benchmarks.export_cifar --data-dir DATA --out cifar10-lt-100.npz     # once, where the parquet files are
    PYTHONPATH=src python -m benchmarks.gpu --data cifar10-lt-100.npz --out DIR    # on the machine with the card

longtail need not be installed there. Needed: torch, numpy, scipy, safetensors, filelock and Pillow; for the tests also
pytest, hypothesis, scikit-learn, joblib, typer, rich, pandas and pyarrow, and pytest-xdist to run them side by side.
Where datasets, skops, imbalanced-learn or skorch are missing, their own tests are skipped or listed as failures.
Compiled variants need a C++ compiler.

Sections run in order of value, each in a process of its own: one that fails is recorded with its error. The result is
written after every part of a section; `--resume` leaves out what is finished. `--device cpu --small` is a smoke test
without a card, on a few random images.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.command import argument_parser, save
from benchmarks.gpu import checks, isolated, sections, step
from benchmarks.gpu.setting import Section, Setting
from benchmarks.machine import facts


class Planned(NamedTuple):
    """A section, the seconds that it is expected to take, and those after which it is stopped."""

    run: Section
    seconds: float
    most: float


SECTIONS = {
    "step": Planned(step.steps, 110, 200),
    "trainings": Planned(sections.trainings, 130, 220),
    "losses": Planned(sections.loss_ratios, 30, 60),
    "gpu tests": Planned(checks.gpu_tests, 60, 120),
    "methods": Planned(sections.method_ratios, 60, 100),
    "fast tests": Planned(checks.fast_tests, 90, 200),
}
"""In order of value."""


def card(device: str) -> dict[str, Any]:
    """Return the card, its driver and libraries; nothing on a CPU."""
    if not device.startswith("cuda"):
        return {}
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        driver = "unknown"
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu": properties.name, "gpu_memory_gb": round(properties.total_memory / 1e9, 1), "driver": driver,
        "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
    }  # fmt: skip


def file_name(machine: dict[str, Any]) -> str:
    """Return gpu-<card>.json; the name of a smoke test is another, so that the documents never show it."""
    slug = re.sub(r"[^a-z0-9]+", "-", machine.get("gpu", "").lower()).strip("-")
    return f"gpu-{slug}.json" if slug else "smoke-test.json"


def main() -> None:
    """Run the sections that were asked for, as far as the seconds go."""
    parser = argument_parser(__doc__)
    parser.set_defaults(out=Path("benchmarks/results"))
    parser.add_argument("--data", type=Path, help="the file of python -m benchmarks.export_cifar --out FILE.npz")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a smoke test: a few random images")
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--limit", type=float, default=480, help="seconds for all of them")
    parser.add_argument("--resume", action="store_true", help="leave out the sections that are finished in --out")
    given = parser.parse_args()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, torch finds none; --device cpu --small tries it without one")
    if given.data is not None and not given.data.is_file():
        parser.error(f"--data {str(given.data)!r} is no file; python -m benchmarks.export_cifar writes it")
    if given.small:
        import_module("torch._dynamo")  # as an optimiser's first step does: once, not in every forked process
    machine = facts() | card(given.device)
    out = given.out / file_name(machine)
    result: dict[str, Any] = {"machine": machine, "limit": given.limit, "sections": {}}
    if given.resume and out.exists():
        result["sections"] = json.loads(out.read_text())["sections"]
    done = [name for name, entry in result["sections"].items() if entry["finished"]]
    chosen = [name for name in given.sections if name not in done]
    print(f"{machine.get('gpu', machine['cpu'])}: {given.limit:.0f} s at most; expected, in this order:")
    for name in chosen:
        print(f"  {name:<12} {SECTIONS[name].seconds:5.0f} s", flush=True)
    try:
        run_all(chosen, Setting(given.device, given.data, given.small), given.limit, result, partial(save, out))
    except KeyboardInterrupt:
        sys.exit("interrupted; --resume continues")
    print(f"wrote {out}")


def run_all(
    names: list[str], setting: Setting, limit: float, result: dict[str, Any], write: Callable[[dict[str, Any]], None]
) -> None:
    """Run these sections one after another, and write the result after every part of one."""
    start = time.monotonic()
    for name in names:
        planned, remaining = SECTIONS[name], limit - (time.monotonic() - start)
        entry = result["sections"][name] = {"finished": False, "result": {}}

        def add(part: dict[str, Any], entry: dict[str, Any] = entry) -> None:
            entry["result"] |= part
            write(result)

        if remaining < planned.seconds / 2 and not setting.small:
            entry["error"] = f"not begun: {max(remaining, 0):.0f} s remained, {planned.seconds:.0f} are expected"
        else:
            entry |= isolated.run(planned.run, setting, min(remaining, planned.most), add)
        write(result)
        ending = entry.get("error") or entry.get("not measured") or "finished"
        print(f"{time.monotonic() - start:5.0f} s  {name}: {ending}", flush=True)


if __name__ == "__main__":
    main()
