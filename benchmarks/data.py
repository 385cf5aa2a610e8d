"""What reading data costs: seconds and peak memory, each part in a process of its own, beside the stated bound.

`python -m benchmarks.data images --out benchmarks/results/data-images.json` makes a folder of 60,000 small PNG images,
reads it as `longtail compare FOLDER` does, once without and once with a cache, and once row by row.
`python -m benchmarks.data table --out benchmarks/results/data-table.json` makes a table of 100,000 rows and 50
columns and runs `longtail compare TABLE --methods quick` on it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts

SIZE = 32
CLASSES = 100
FIXED = 256 * 2**20
"""Bytes that a reading may take beside the decoded images: names, labels and what is under way."""


def make_images(folder: Path, count: int) -> None:
    """`count` PNG files of 32 x 48 in long-tailed classes, noise on a gradient: as hard to decode as photographs."""
    from PIL import Image

    generator = np.random.default_rng(0)
    share = 0.955 ** np.arange(CLASSES)
    labels = np.concatenate([np.arange(CLASSES), generator.choice(CLASSES, count - CLASSES, p=share / share.sum())])
    for label in range(CLASSES):
        (folder / f"class-{label:03d}").mkdir(parents=True)
    gradient = np.linspace(0, 200, 48)[None, :, None]

    def one(row: int) -> None:
        noise = np.random.default_rng(row).integers(0, 56, (32, 48, 3))
        pixels = (gradient + noise).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"class-{labels[row]:03d}" / f"{row:06d}.png")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(one, range(count)):
            pass


def read_images(folder: Path, share: float) -> dict[str, Any]:
    """In a process of its own: seconds and peak memory of one reading."""
    from longtail.data.read.images.image_folder import image_pool

    start, before = time.perf_counter(), peak()
    pool = image_pool(folder, size=SIZE, share=share)
    return {"images": len(pool), "seconds": time.perf_counter() - start, "before": before, "peak": peak()}


def peak() -> int:
    """The most bytes this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_process(call: str, *arguments: object, **environment: str) -> dict[str, Any]:
    """What a function of this module returns, called in a fresh process."""
    code = f"import json, benchmarks.data as d; print(json.dumps(d.{call}))" % tuple(map(repr, arguments))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def images(given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        folder, cache = Path(work) / "images", str(Path(work) / "cache")
        start = time.perf_counter()
        make_images(folder, given.images)
        print(f"{given.images} PNG images written in {time.perf_counter() - start:.1f} s")
        tensor = given.images * 3 * SIZE * SIZE
        readings = {}
        for name, share in (("first", 1.0), ("cached", 1.0), ("row by row, first", 0.0), ("row by row, again", 0.0)):
            row = in_process("read_images(d.Path(%s), %s)", str(folder), share, LONGTAIL_CACHE=cache)
            bound = row["before"] + FIXED + (tensor if share else 0)
            readings[name] = {
                "seconds": round(row["seconds"], 2),
                "peak_mib": round(row["peak"] / 2**20),
                "imports_mib": round(row["before"] / 2**20),
                "bound_mib": round(bound / 2**20),
                "within_bound": row["peak"] <= bound,
            }
            print(f"  {name:<20} {row['seconds']:7.1f} s   peak {row['peak'] / 2**20:6.0f} MiB, bound "
                  f"{bound / 2**20:6.0f} MiB")  # fmt: skip
    return {"images": given.images, "size": SIZE, "tensor_mib": round(tensor / 2**20), "readings": readings}


def make_table(path: Path, rows: int, columns: int) -> None:
    """Half the columns numbers, half categories, 1 % of cells missing, 5 % of the rows in the rare class."""
    import pandas

    draw = np.random.default_rng(0)
    rare = draw.random(rows) < 0.05
    frame = {}
    for j in range(columns - 1):
        if j % 2:
            frame[f"category{j}"] = np.char.add("v", draw.integers(0, 2 + j, rows).astype(str)).astype(object)
        else:
            frame[f"number{j}"] = draw.normal(size=rows) + rare * (j % 5) / 10
    table = pandas.DataFrame(frame)
    for name in table.columns:
        table.loc[draw.random(rows) < 0.01, name] = None
    table.assign(label=np.where(rare, "rare", "usual")).to_csv(path, index=False)


def table(given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        path = Path(work) / "table.csv"
        make_table(path, given.rows, given.columns)
        words = [
            "longtail",
            "compare",
            str(path),
            "--label",
            "label",
            "--methods",
            "quick",
            "--seeds",
            str(given.seeds),
        ]
        command = [sys.executable, "-m", *words, "--out", f"{work}/out", "--json"]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout)
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rows = {
        row["method"]: {
            "balanced_accuracy": round(row["mean"]["balanced_accuracy"], 4),
            "seconds_a_run": round(row["seconds"], 1),
        }
        for row in found["rows"]
    }
    print(f"{given.rows} x {given.columns}, {len(rows)} methods x {given.seeds} seeds: {seconds:.0f} s, "
          f"largest process {children:.0f} MiB")  # fmt: skip
    for method, row in rows.items():
        print(f"  {method:<26} {100 * row['balanced_accuracy']:5.1f} %  {row['seconds_a_run']:6.1f} s a run")
    told = " ".join([*words[:2], "TABLE", *words[3:]])
    size = {"rows": given.rows, "columns": given.columns, "seeds": given.seeds}
    return {
        **size,
        "command": told,
        "seconds": round(seconds, 1),
        "largest_process_mib": round(children),
        "methods": rows,
    }


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"images": images, "table": table}
"""Subcommand -> what it measures."""


def main(arguments: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    made = {name: parts.add_parser(name) for name in PARTS}
    made["images"].add_argument("--images", type=int, default=60_000)
    made["table"].add_argument("--rows", type=int, default=100_000)
    made["table"].add_argument("--columns", type=int, default=50)
    made["table"].add_argument("--seeds", type=int, default=1)
    for part in made.values():
        part.add_argument("--work", type=Path, help="where temporary files go")
    given = parser.parse_args(arguments)
    result = {"machine": facts(), given.part: PARTS[given.part](given)}
    save(given.out, result)


if __name__ == "__main__":
    main()
