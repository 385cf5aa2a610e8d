"""How far the estimate of `longtail compare --dry-run` is from the time that the command then takes.

    python -m benchmarks.dry_run --repeats 3 --out benchmarks/results/dry-run.json

Each case is a command line, run first with --dry-run and then as it is, in processes of its own, from an empty cache
and into a fresh folder. `ratio` is estimate / measured wall-clock time. Tables that are not at --tables are left out.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts

BOUND = 1.5
"""The estimate should be within this factor of what is measured."""


def photos(folder: Path, counts: tuple[int, ...] = (240, 80, 30), size: int = 96) -> Path:
    """JPEGs of noise around one brightness per class."""
    draw = np.random.default_rng(0)
    for j, count in enumerate(counts):
        place = folder / f"class-{j}"
        place.mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(40 * j, 40 * j + 120, (size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{i}.jpg")
    return folder


def cases(tables: Path, scratch: Path) -> dict[str, list[str]]:
    """Name -> the arguments of `longtail compare`."""
    methods = ["--methods", "ldam-drw,logit-adjusted-posthoc,logistic,trees,trees-posthoc"]
    found = {"digits": ["digits", "--seeds", "1"]}
    mammography = tables / "mammography.csv"
    if mammography.exists():
        table = [str(mammography), "--no-header", "--label", "last", *methods, "--epochs", "10"]
        found["table"] = [*table, "--seeds", "2"]
        found["folds"] = [*table, "--seeds", "1", "--folds", "3"]
    else:
        print(f"no {mammography}: the cases of tables are left out", file=sys.stderr)
    images = photos(scratch / "photos")
    found["photos"] = [str(images), "--methods", "ce,ldam-drw,cb-rs,logit-adjusted-posthoc", "--epochs", "30"]
    return found


def run(arguments: list[str], scratch: Path) -> tuple[float, str]:
    """Wall-clock seconds and standard output of one command."""
    environment = {**os.environ, "LONGTAIL_CACHE": tempfile.mkdtemp(dir=scratch), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "longtail", "compare", *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed: {done.stderr[-500:]}")
    return time.perf_counter() - start, done.stdout


def measured(arguments: list[str], scratch: Path) -> dict[str, float]:
    """The estimate, how long it took, and the real thing right after it."""
    load = os.getloadavg()[0]
    out = ["--out", tempfile.mkdtemp(dir=scratch)]
    asking, text = run([*arguments, *out, "--dry-run", "--json"], scratch)
    estimate = json.loads(text)["seconds"]
    real, _ = run([*arguments, *out], scratch)
    return {"estimate": estimate, "measured": real, "ratio": estimate / real, "dry_run": asking, "load_before": load}


def main() -> None:
    """Print a line per case and repetition, and write all of it."""
    parser = argument_parser(__doc__)
    parser.add_argument("--tables", type=Path, default=Path("shared/data/tabular"), help="folder of mammography.csv")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="cases to measure")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    if given.out and given.out.exists():  # cases that are not measured now stay
        results = json.loads(given.out.read_text())["cases"]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name, arguments in cases(given.tables, scratch).items():
            if given.only and name not in given.only:
                continue
            found = []
            for _ in range(given.repeats):
                found.append(measured(arguments, scratch))
                told = ", ".join(f"{key} {value:.2f}" for key, value in found[-1].items())
                print(f"{name}: {told}", flush=True)
            ratio = statistics.median(one["ratio"] for one in found)
            shown = [Path(a).name if Path(a).exists() else a for a in arguments]
            results[name] = {
                "command": " ".join(["longtail", "compare", *shown]), "runs": found, "median_ratio": ratio,
                "within": 1 / BOUND <= ratio <= BOUND,
            }  # fmt: skip
            if given.out:
                save(given.out, {**facts(), "bound": BOUND, "cases": results})


if __name__ == "__main__":
    main()
