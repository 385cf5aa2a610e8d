"""The memory of a training with many rows without labels, each in a process of its own, and how it grows with the rows.

    OMP_NUM_THREADS=1 python -m benchmarks.unlabelled_memory --out benchmarks/results/unlabelled-memory.json

2,000 labelled rows, and 20,000 or 200,000 without labels, of Gaussian classes with 64 features. An epoch is one pass
over the rows without labels; checkpoints and the run's files are written as ever. DARP refines all rows two or three
times in the second of two epochs, CReST has four generations of an epoch each. "data" trains nothing: its memory is
that of a process with these rows. Linux only, whose /proc has the figures.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.data import Splits
from longtail.data.label_kinds import unlabeled
from longtail.data.rows import Examples
from longtail.engine.default_recipe import default_recipe
from longtail.runs.train import Fit

LABELLED, TESTED, FEATURES, RATIO = 2_000, 1_000, 64, 50
SIZES = (20_000, 200_000)
EPOCHS, BATCH, MU = 2, 128, 2
DATA = "data"
METHODS = ("fixmatch", "fixmatch-darp", "fixmatch-abc", "fixmatch-crest(generations=4)", "fixmatch-simpro")
ROWS = [(name, 10) for name in (DATA, *METHODS)] + [(DATA, 100), ("fixmatch-darp", 100)]
"""Method and number of classes."""
STATUS, PEAK, NOW = Path("/proc/self/status"), "VmHWM", "VmRSS"


def gaussians(count: int, classes: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return inputs (count, FEATURES) float32 and classes (count,) with long-tailed shares, each class once or more."""
    shares = RATIO ** -(torch.arange(classes) / (classes - 1))
    drawn = torch.multinomial(shares, count - classes, replacement=True, generator=generator)
    labels = torch.cat([torch.arange(classes), drawn])
    means = 0.6 * torch.randn(classes, FEATURES, generator=torch.Generator().manual_seed(1))
    inputs = torch.randn(count, FEATURES, generator=generator)
    for part, of in zip(inputs.split(10_000), labels.split(10_000), strict=True):  # in place: no second copy
        part += means[of]
    return inputs, labels


def splits(size: int, classes: int) -> Splits:
    """Return the data with `size` rows without labels."""
    generator = torch.Generator().manual_seed(0)
    names = tuple(f"{j:03d}" for j in range(classes))
    train, test = (Examples(*gaussians(n, classes, generator), names) for n in (LABELLED, TESTED))
    rest = Examples(gaussians(size, classes, generator)[0], unlabeled(size), names)
    return Splits("gaussians", train, test, unlabeled=rest).checked()


def memory(name: str) -> int:
    """Return a figure of /proc/self/status in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measured(method: str, size: int, classes: int) -> dict[str, Any]:
    """Train in this process, and return its memory with the data alone, at its peak after that, and its seconds."""
    torch.set_num_threads(1)
    imports = memory(NOW)
    data = splits(size, classes)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before, start, steps = memory(NOW), time.perf_counter(), math.ceil(size / (MU * BATCH))
    record: dict[str, Any] = {}
    if method != DATA:
        spec = method.replace("darp", f"darp(period={steps // 2})") if "darp" in method else method
        epochs = 4 if "generations=4" in method else EPOCHS
        recipe = default_recipe(data, epochs=epochs, steps=steps, batch_size=BATCH)
        with tempfile.TemporaryDirectory() as folder:
            *_, record = Fit(spec, data, recipe=recipe, folder=folder, threads=1)
    return {
        "imports": imports,
        "before": before,
        "peak": memory(PEAK),
        "seconds": round(time.perf_counter() - start, 1),
        **{key: record[key] for key in ("confident", "changed") if key in record},
    }


def in_process(method: str, size: int, classes: int) -> dict[str, Any]:
    """Return what `measured` returns, called in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.unlabelled_memory", "--one", method, str(size), str(classes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argument_parser(__doc__, "unlabelled-memory.json")
    parser.add_argument("--sizes", nargs=2, type=int, default=SIZES, metavar=("FEW", "MANY"))
    parser.add_argument("--one", nargs=3, metavar=("METHOD", "ROWS", "CLASSES"), help="measure this process alone")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one[0], *map(int, given.one[1:]))))
        return
    few, many = given.sizes
    result: dict[str, Any] = {
        "machine": facts(), "threads": 1, "labelled": LABELLED, "features": FEATURES, "epochs": EPOCHS,
        "batch_size": BATCH, "sizes": [few, many], "rows": [],
    }  # fmt: skip
    for method, classes in ROWS:
        a, b = (in_process(method, size, classes) for size in (few, many))
        growth = (b["peak"] - a["peak"]) / (many - few)
        row = {
            "method": method, "classes": classes, "bytes_per_row": round(growth), "imports_mib": mib(b["imports"]),
            "data_mib": mib(b["before"] - b["imports"]),
            "peak_mib": [mib(a["peak"]), mib(b["peak"])],
            **{key: b[key] for key in b if key not in ("imports", "before", "peak")},
        }  # fmt: skip
        result["rows"].append(row)
        print("  " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    save(given.out, result)


def mib(size: int) -> float:
    """Return bytes in MiB."""
    return round(size / 2**20, 1)


if __name__ == "__main__":
    main()
