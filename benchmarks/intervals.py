"""How often the 95 % interval of a recall holds the true recall: by enumeration, not by chance.

For a class with n test examples and true recall p the coverage is a finite sum over the number of hits k,

    coverage(n, p) = sum_k P(k; n, p) [low(k, n) <= p <= high(k, n)],   P binomial,

so that the table has no sampling error. A small simulation then draws labels and predictions, runs the whole of
`metrics.evaluate`, and compares what its intervals cover with the same sum.
"""

from __future__ import annotations

import csv
from math import sqrt
from typing import Any

import numpy as np
from scipy.stats import binom

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.metrics import evaluate, wilson

SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 1000)
RATES = tuple(round(k / 100, 2) for k in range(1, 100))
NOMINAL = 0.95
RECALLS = (0.03, 0.2, 0.5, 0.85, 0.95)
"""True recalls of the simulated classes; their sizes are SIMULATED."""
SIMULATED = (200, 50, 20, 10, 3)


def coverage(n: int, rate: float) -> float:
    """The exact probability that the interval of n trials holds `rate`."""
    hits = np.arange(n + 1)
    low, high = wilson(hits, np.full(n + 1, n))
    return float(binom.pmf(hits, n, rate)[(low <= rate) & (rate <= high)].sum())


def table() -> list[dict[str, float]]:
    """One row per class size and true rate."""
    return [{"n": n, "rate": rate, "coverage": coverage(n, rate)} for n in SIZES for rate in RATES]


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Averages over rates per class size, over everything, and the worst cell."""
    by_size = {n: float(np.mean([row["coverage"] for row in rows if row["n"] == n])) for n in SIZES}
    return {
        "nominal": NOMINAL,
        "average": float(np.mean([row["coverage"] for row in rows])),
        "average_by_n": by_size,
        "worst": min(rows, key=lambda row: row["coverage"]),
        "worst_from_n_10": min((row for row in rows if row["n"] >= 10), key=lambda row: row["coverage"]),
    }


def simulate(repetitions: int, seed: int = 0) -> list[dict[str, float]]:
    """Coverage of the intervals that `evaluate` reports, per class, beside the exact one."""
    rng = np.random.default_rng(seed)
    classes = len(SIMULATED)
    targets = np.repeat(np.arange(classes), SIMULATED)
    held = np.zeros(classes)
    for _ in range(repetitions):
        right = rng.random(len(targets)) < np.repeat(RECALLS, SIMULATED)
        wrong = (targets + rng.integers(1, classes, len(targets))) % classes
        scores = np.eye(classes)[np.where(right, targets, wrong)]
        per_class = evaluate(scores, targets, class_counts=SIMULATED)["per_class"]
        held += (np.array(per_class["low"]) <= RECALLS) & (np.array(RECALLS) <= per_class["high"])
    rows = []
    for n, rate, count in zip(SIMULATED, RECALLS, held, strict=True):
        exact = coverage(n, rate)
        error = sqrt(exact * (1 - exact) / repetitions)
        rows.append({"n": n, "rate": rate, "simulated": count / repetitions, "exact": exact, "standard_error": error})
    return rows


def main() -> None:
    parser = argument_parser(__doc__, "intervals.json")
    parser.add_argument("--repetitions", type=int, default=4000, help="simulated test sets")
    given = parser.parse_args()
    rows = table()
    result = {**facts(), **summary(rows), "simulated_evaluate": simulate(given.repetitions)}
    save(given.out, result)
    with given.out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "coverage": f"{row['coverage']:.6f}"} for row in rows)
    worst = result["worst"]
    print(
        f"average coverage {result['average']:.4f} at nominal {NOMINAL}; worst cell {worst['coverage']:.4f} at "
        f"n={worst['n']}, rate {worst['rate']}"
    )
    for row in result["simulated_evaluate"]:
        print(f"evaluate: n={row['n']} rate {row['rate']}: {row['simulated']:.4f} (exact {row['exact']:.4f})")


if __name__ == "__main__":
    main()
