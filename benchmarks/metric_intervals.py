"""How often the 95 % intervals of `metrics.evaluate` hold the true value, on simulated test sets.

A classifier's scores are drawn: of a row of class y noise, + signal on y (with probability `lost` on another class),
+ log of the class shares. The true value of every metric is that of very many rows of each class, weighted to the class
sizes. Metrics that treat classes one by one (balanced accuracy, macro F1, rankings) are judged where every test set has
the same class sizes, the others (accuracy, MCC, log loss, ...) where the class mix is drawn, too. What is undefined
in a draw (the precision of a class never predicted) is not counted in it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.metrics import METRICS, evaluate

NOMINAL = 0.95
MANY_ROWS = 40_000
"""Of each class, for the true values."""
SCENARIOS: dict[str, dict[str, Any]] = {
    "tail": {"sizes": (200, 80, 20, 5, 2), "signal": 2.5, "lost": 0.0},
    "tail, sharp": {"sizes": (200, 80, 20, 5, 2), "signal": 6.0, "lost": 0.0},
    "tail, some rows lost": {"sizes": (200, 80, 20, 5, 2), "signal": 5.0, "lost": 0.25},
    "tail, larger": {"sizes": (2000, 800, 200, 50, 20), "signal": 2.5, "lost": 0.05},
    "ten of ten": {"sizes": (10,) * 10, "signal": 2.0, "lost": 0.1},
    "two, rare": {"sizes": (300, 5), "signal": 3.0, "lost": 0.05},
    "two, rarer": {"sizes": (1000, 3), "signal": 4.0, "lost": 0.0},
    "single rows": {"sizes": (50, 1, 1, 1), "signal": 3.0, "lost": 0.1},
}
GROUPS = ("many", "medium", "few")
BY_CLASS = {name for name, one in METRICS.items() if one.by_class} | set(GROUPS)
PER_CLASS = {"recall": ("low", "high")} | {
    name: (f"{name}_low", f"{name}_high") for name in ("precision", "f1", "average_precision", "roc_auc")
}


def scores(targets: NDArray[np.int64], sizes: NDArray[np.float64], scenario: dict[str, Any], rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """Draw the scores of a classifier for rows of these classes."""
    size = len(sizes)
    z = rng.normal(size=(len(targets), size)) * 1.5 + np.log(sizes / sizes.sum())
    elsewhere = rng.random(len(targets)) < scenario["lost"]
    seen = np.where(elsewhere, (targets + rng.integers(1, size, len(targets))) % size, targets)
    z[np.arange(len(targets)), seen] += scenario["signal"]
    return z


def simulate(scenario: dict[str, Any], repetitions: int, seed: int = 0) -> dict[str, Any]:
    """Return coverage and mean width per metric, and per class size for what is per class."""
    rng = np.random.default_rng(seed)
    sizes = np.array(scenario["sizes"], dtype=np.float64)
    classes = len(sizes)
    more: dict[str, Any] = {
        "class_counts": sizes,
        "cost": (1 - np.eye(classes)) * (1 + 9 * (sizes < sizes.max()))[:, None],
    }
    y = np.repeat(np.arange(classes), MANY_ROWS)
    true = evaluate(scores(y, sizes, scenario, rng), y, sample_weight=np.repeat(sizes / MANY_ROWS, MANY_ROWS), **more)
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for _ in range(repetitions):
        fixed = np.repeat(np.arange(classes), sizes.astype(int))
        drawn = rng.choice(classes, len(fixed), p=sizes / sizes.sum())
        for y, by_class in ((fixed, True), (drawn, False)):
            told = evaluate(scores(y, sizes, scenario, rng), y, **more)
            for name, ends in told["intervals"].items():
                if (name in BY_CLASS) == by_class and ends is not None and true[name] is not None:
                    found[name].append((ends[0] <= true[name] <= ends[1], ends[1] - ends[0]))
            if by_class:
                for name, (low, high) in PER_CLASS.items():
                    each = told["per_class"]
                    for j, value in enumerate(true["per_class"][name]):
                        if each[low][j] is not None and value is not None:
                            held = each[low][j] <= value <= each[high][j]
                            found[f"{name} n={int(sizes[j])}"].append((held, each[high][j] - each[low][j]))
    return {
        name: {
            "coverage": float(np.mean([h for h, _ in rows])),
            "width": float(np.mean([w for _, w in rows])),
            "n": len(rows),
        }
        for name, rows in found.items()
    }  # fmt: skip


def main() -> None:
    parser = argument_parser(__doc__, "metrics/intervals.json")
    parser.add_argument("--repetitions", type=int, default=1000, help="simulated test sets of each kind")
    given = parser.parse_args()
    tables = {name: simulate(one, given.repetitions, seed) for seed, (name, one) in enumerate(SCENARIOS.items())}
    print(
        json.dumps({name: {k: round(v["coverage"], 3) for k, v in t.items()} for name, t in tables.items()}, indent=1)
    )
    pooled = defaultdict(list)
    for table in tables.values():
        for name, row in table.items():
            pooled[name.split()[0] + (" per class" if "n=" in name else "")].append(row["coverage"])
    summary = {name: {"mean": float(np.mean(c)), "lowest": min(c)} for name, c in pooled.items()}
    save(given.out, {**facts(), "nominal": NOMINAL, "scenarios": SCENARIOS, "summary": summary, "tables": tables})
    for name, row in summary.items():
        print(f"{name:32s} mean {row['mean']:.3f}  lowest {row['lowest']:.3f}")


if __name__ == "__main__":
    main()
