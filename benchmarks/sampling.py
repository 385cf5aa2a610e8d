"""What a sampler of very many rows costs: set-up, one epoch's draw, memory.

Labels are a long-tailed draw of the given number of classes. Each sampler runs in a process of its own, so that the
peak of its memory is its own; the labels are read from a file before it and are not counted.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail import sampling
from longtail.facts.schedules import linear

SAMPLERS: dict[str, Callable[[np.ndarray], sampling.RowSampler]] = {
    "ClassBalancedSampler": sampling.ClassBalancedSampler,
    "SquareRootSampler": sampling.SquareRootSampler,
    "PowerSampler(linear)": lambda labels: sampling.PowerSampler(labels, q=linear(1.0, 0.0)),
    "EffectiveNumberSampler": sampling.EffectiveNumberSampler,
    "Deferred(ClassBalanced)": lambda labels: sampling.Deferred(sampling.ClassBalancedSampler(labels)),
    "Shuffle": sampling.Shuffle,
}


def labels(rows: int, num_classes: int, dtype: str) -> np.ndarray:
    shares = 0.001 ** (np.arange(num_classes) / (num_classes - 1))
    drawn = np.random.default_rng(0).choice(num_classes, rows, p=shares / shares.sum())
    return drawn.astype(dtype)


def measure(name: str, labels_file: Path, repeats: int) -> dict[str, float]:
    torch.set_num_threads(1)
    y = np.load(labels_file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    setup, first, draw = [], [], []
    for _ in range(repeats):
        start = time.perf_counter()
        sampler = SAMPLERS[name](y)
        setup.append(time.perf_counter() - start)
        sampler.set_epoch(0, progress=0.9)
        start = time.perf_counter()
        next(iter(sampler))
        first.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    for epoch in range(repeats):
        generator = torch.Generator().manual_seed(epoch)
        start = time.perf_counter()
        for _ in sampler.chunks(0.9, generator):
            pass
        draw.append(time.perf_counter() - start)
    held = sum(v.nbytes for v in vars(getattr(sampler, "after", sampler)).values() if isinstance(v, torch.Tensor))
    return {
        "setup_s": round(median(setup), 4),
        "setup_min_s": round(min(setup), 4),
        "first_row_s": round(median(first), 4),
        "draw_s": round(median(draw), 4),
        "draw_min_s": round(min(draw), 4),
        "held_mb": round(held / 1e6, 1),
        "setup_peak_mb": round(peak / 1e3, 1),
    }


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 50_000_000])
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--dtype", default="int64", help="of the labels")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": facts(), "classes": given.classes, "dtype": given.dtype}
    context = multiprocessing.get_context("spawn")
    for rows in given.rows:
        print(f"\n{rows} rows, {given.classes} classes, labels {given.dtype}")
        print(f"  {'':<26} {'set-up s':>9} {'first row':>9} {'draw s':>8} {'held MB':>8} {'peak MB':>8}")
        result[str(rows)] = {}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "labels.npy"
            np.save(file, labels(rows, given.classes, given.dtype))
            for name in SAMPLERS:
                with context.Pool(1) as pool:
                    row = pool.apply(measure, (name, file, given.repeats))
                result[str(rows)][name] = row
                print(
                    f"  {name:<26} {row['setup_s']:9.3f} {row['first_row_s']:9.3f} {row['draw_s']:8.2f}"
                    f" {row['held_mb']:8.0f} {row['setup_peak_mb']:8.0f}"
                )
    save(given.out, result)


if __name__ == "__main__":
    main()
