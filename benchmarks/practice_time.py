"""How long `longtail compare --methods practice` takes on 100,000 rows of 50 columns: one seed, two processes.

    python -m benchmarks.practice_time --out benchmarks/results/practice/time.json

Five classes at ratio 100, of which each is two clusters; 20 % of the rows are for testing, 20 % of the rest for
validation. With --categories some of the columns are categories of 20 values each. The command runs in a process of
its own, as a user would type it; seconds are wall clock, Python's start included, and of every method those of its run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.facts import profiles

CLASSES, RATIO, CODES = 5, 100, 20
MOST_SECONDS = 300.0


def table(rows: int, columns: int, categories: int) -> pd.DataFrame:
    """Rows of classes of two clusters each; categories are columns cut into parts of equal size."""
    g = np.random.default_rng(0)
    counts = profiles.long_tail(rows, CLASSES, RATIO).numpy()
    counts = np.maximum(np.round(counts / counts.sum() * rows).astype(int), 2)
    counts[0] += rows - counts.sum()
    y = np.repeat(np.arange(CLASSES), counts)
    centres = g.normal(size=(CLASSES, 2, columns)) * 0.45
    x = centres[y, g.integers(0, 2, rows)] + g.normal(size=(rows, columns))
    frame = pd.DataFrame(x.round(4), columns=[f"c{j}" for j in range(columns)])
    for j in range(categories):
        frame[f"c{j}"] = [f"v{code}" for code in pd.qcut(frame[f"c{j}"], CODES, labels=False)]
    return frame.assign(kind=[f"class-{j}" for j in y]).sample(frac=1, random_state=0)


def main() -> None:
    parser = argument_parser(__doc__, "practice/time.json")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--categories", type=int, default=0)
    parser.add_argument("--methods", default="practice")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "table.csv", Path(folder) / "runs"
        table(given.rows, given.columns, given.categories).to_csv(data, index=False)
        command = ["compare", str(data), "--label", "kind", "--methods", given.methods, "--seeds", "1", "--val", "0.2"]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "longtail", *command, "--jobs", "2", "--out", str(out)], check=True)
        seconds = time.perf_counter() - start
        found = json.loads((out / "comparison.json").read_text())
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    rows = {
        row["method"]: {"seconds": row["seconds"], "balanced_accuracy": row["mean"]["balanced_accuracy"]}
        for row in found["rows"]
    }
    print(f"{given.rows:,} x {given.columns}: {seconds:.0f} s, {size / 1e6:.0f} MB (at most {MOST_SECONDS:.0f} s)")
    shape = {"rows": given.rows, "columns": given.columns, "categories": given.categories}
    save(given.out, {"machine": facts(), "table": shape, "seconds": seconds, "bytes": size, "methods": rows})
    if seconds > MOST_SECONDS:
        raise SystemExit(f"practice must take at most {MOST_SECONDS:.0f} s, took {seconds:.0f} s")


if __name__ == "__main__":
    main()
