"""The seconds and the size of `longtail report` for comparisons of many methods, seeds and classes.

    python -m benchmarks.report_page --out benchmarks/results/report/page.json

The comparisons are made up: comparison.json with every entry that a real one has, and a run folder with run.json and
metrics.jsonl per seed. Each is reported in a process of its own, as a user would; `seconds` is the least of the
repeats, wall clock, Python's start included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts

SECONDS, BYTES = 5.0, 1_000_000
"""What a report of 20 methods x 5 seeds may take, and how large a page may be."""
CASES = {"20 methods x 5 seeds x 10 classes": (20, 5, 10), "20 methods x 5 seeds x 100 classes": (20, 5, 100),
         "20 methods x 5 seeds x 1000 classes": (20, 5, 1000)}  # fmt: skip
METRICS = ("balanced_accuracy", "accuracy", "macro_f1", "g_mean", "many", "medium", "few", "worst_class", "ece",
           "classwise_ece")  # fmt: skip


def comparison(methods: int, seeds: int, classes: int) -> dict[str, Any]:
    """comparison.json of made-up methods: method-00 is the reference, every third is shown to beat it."""
    draw = np.random.default_rng(0)
    counts = np.ceil(1000 * 100.0 ** (-np.arange(classes) / (classes - 1))).astype(int).tolist()
    third = classes // 3
    groups = {"rule": "thirds of the classes by training count", "many": list(range(classes - 2 * third)),
              "medium": list(range(classes - 2 * third, classes - third)),
              "few": list(range(classes - third, classes))}  # fmt: skip
    rows = [_row(draw, i, seeds, classes, groups) for i in range(methods)]
    rows.sort(key=lambda row: -row["mean"]["balanced_accuracy"])
    winners = [row["method"] for row in rows if row["difference"] and row["difference"]["low"] > 0]
    return {
        "schema_version": 1,
        "data": {
            "name": "made-up", "hash": "0" * 64, "facts": {}, "notes": [], "counts_known": True, "labels": "given",
            "classes": [f"class-{j:03}" for j in range(classes)], "class_counts": counts, "unlabeled": None,
            "test_counts": [50] * classes, "test_rows": [50] * classes, "groups": groups,
        },
        "recipe": {"epochs": 200}, "metric": "balanced_accuracy", "task": "supervised", "reference": "method-00",
        "seeds": list(range(seeds)), "folds": None, "select": "last epoch", "failed": [], "missing": [],
        "verdict": {
            "sentence": f"{rows[0]['method']} leads method-00.", "winners": winners, "losers": [], "undecided": [],
            "statistics": {"level": 0.95, "df": seeds - 1, "notes": []},
        },
        "twins": None, "retraining": None, "tuned": None, "gain": {
            "method": rows[0]["method"], "shown": True, "few": [0.2, 0.4], "many": [0.9, 0.85],
            "few_classes": third, "many_classes": third, "seconds": [100.0, 120.0],
        },
        "rows": rows,
        "findings": [
            {"code": f"LT{k:03}", "severity": "warning", "title": "Duplicates across parts", "detected": "by content",
             "why": "the test part is no longer new", "do": "remove one of each pair"} for k in range(1, 13)
        ],
        "command": "longtail compare made-up --seeds 5", "versions": {"longtail": "0.1.0", "python": "3.11"},
    }  # fmt: skip


def _row(draw: np.random.Generator, index: int, seeds: int, classes: int, groups: dict[str, Any]) -> dict[str, Any]:
    name = f"method-{index:02}"
    recall = np.clip(np.linspace(0.95, 0.2 + 0.02 * index, classes) + draw.normal(0, 0.05, classes), 0, 1)
    mean = {metric: float(recall.mean()) for metric in METRICS}
    mean |= {group: float(recall[groups[group]].mean()) for group in ("many", "medium", "few")}
    gain = 0.01 * (index % 3) * index / 2
    per_class = {name: recall.tolist() for name in ("average_precision", "roc_auc", "precision", "f1")}
    ends = {
        f"{name}_{end}": (recall + step).tolist() for name in per_class for end, step in (("low", -0.1), ("high", 0.1))
    }
    pairs = [
        {"true": f"class-{j % classes:03}", "predicted": "class-000", "share": 0.2, "count": 10} for j in range(20)
    ]
    confusion = {"matrix": np.eye(classes).tolist()} if classes <= 20 else {"pairs": pairs}
    grid = np.linspace(0, 1, 60).tolist()
    curve = {"recall": grid, "precision": grid[::-1], "ap": 0.5}
    return {
        "method": name, "key": name, "paper": "Somebody 2000", "role": "reference" if index == 0 else "method",
        "retrains": True, "recipe_changes": {}, "comparable": True, "epochs": {"train": 200}, "reuses": None,
        "mean": mean, "std": dict.fromkeys(mean, 0.01), "varies": True, "recall": recall.tolist(),
        "recall_interval": [[max(r - 0.1, 0.0), min(r + 0.1, 1.0)] for r in recall.tolist()], "seconds": 100.0 + index,
        "runs": [{"seed": s, "folder": f"{name}/seed-{s}", "seconds": 100.0} for s in range(seeds)],
        "difference": None if index == 0 else {"mean": gain, "low": gain - 0.02, "high": gain + 0.02},
        "twin": None,
        "metrics": {name: {"mean": 0.5, "low": 0.4, "high": 0.6} for name in ("mcc", "average_precision", "log_loss")},
        "per_class": {**per_class, **ends},
        "confusion": confusion,
        "curves": {f"class-{classes - k:03}": curve for k in range(1, 5)},
    }  # fmt: skip


def write(folder: Path, methods: int, seeds: int, classes: int, epochs: int = 200) -> Path:
    """Write such a comparison with its run folders, and return its folder."""
    summary = comparison(methods, seeds, classes)
    records = [{"stage": "train", "epoch": e + 1, "progress": e / epochs, "lr": 0.1, "loss": 2 / (e + 1),
                "examples": 10000, "seconds": 0.5} for e in range(epochs)]  # fmt: skip
    lines = "".join(json.dumps(record) + "\n" for record in records)
    for row in summary["rows"]:
        for run in row["runs"]:
            place = folder / run["folder"]
            place.mkdir(parents=True)
            (place / "metrics.jsonl").write_text(lines)
            (place / "run.json").write_text(json.dumps({"method": row["method"], "seed": run["seed"]}))
    (folder / "comparison.json").write_text(json.dumps(summary))
    return folder


def measured(folder: Path, repeats: int) -> dict[str, Any]:
    """Seconds of the command, and the bytes of its page."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "longtail", "report", str(folder)], check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    size = (folder / "report.html").stat().st_size
    return {"seconds": min(times), "all_seconds": times, "bytes": size, "holds": min(times) < SECONDS and size < BYTES}


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    results: dict[str, Any] = {}
    for name, (methods, seeds, classes) in CASES.items():
        with tempfile.TemporaryDirectory() as scratch:
            results[name] = measured(write(Path(scratch) / "made-up", methods, seeds, classes), given.repeats)
        print(f"{name}: {results[name]['seconds']:.2f} s, {results[name]['bytes'] / 1000:,.0f} kB")
    save(given.out, {"machine": facts(), "bounds": {"seconds": SECONDS, "bytes": BYTES}, "cases": results})


if __name__ == "__main__":
    main()
