"""How often does the verdict name a winner where there is none?

Plain cross-entropy with a linear model is optimal on Gaussian classes with one covariance: for balanced classes
judged by balanced accuracy, and for long-tailed ones judged by accuracy (the test part has the training prior).
Each repetition draws new means, training and test parts and runs the whole comparison, quick methods x 3 seeds (or
another preset, with --methods, and another number of them).
One line per repetition goes to a CSV; the same command goes on where it was interrupted.
"""

from __future__ import annotations

import csv

import numpy as np
import torch
from joblib import Parallel, delayed

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.data import Examples, Splits

CLASSES, DIMENSIONS, TEST = 5, 10, 1000
METRIC = {"balanced": "balanced_accuracy", "long-tailed": "accuracy"}
COLUMNS = ("kind", "repetition", "metric", "winners", "losers", "ce", "best", "largest_difference", "its_low")


def splits(kind: str, repetition: int) -> Splits:
    """Five Gaussian classes in ten dimensions, unit covariance, new means for every repetition."""
    generator = np.random.default_rng([list(METRIC).index(kind), repetition])
    means = generator.normal(size=(CLASSES, DIMENSIONS)) * 0.65
    counts = np.full(CLASSES, 200) if kind == "balanced" else lt.profiles.long_tail(550, CLASSES, 50).numpy()
    shares = counts / counts.sum()

    def draw(labels: np.ndarray) -> Examples:
        x = means[labels] + generator.normal(size=(len(labels), DIMENSIONS))
        names = tuple(str(j) for j in range(CLASSES))
        return Examples(torch.tensor(x, dtype=torch.float32), torch.tensor(labels), names)

    train = draw(np.repeat(np.arange(CLASSES), counts))
    test_counts = np.maximum(np.floor(shares * TEST).astype(int), 1)
    return Splits(f"gaussian-{kind}", train, draw(np.repeat(np.arange(CLASSES), test_counts)))


def repetition(kind: str, number: int, methods: str, seeds: int, val: float | None) -> dict[str, object]:
    torch.set_num_threads(1)
    found = lt.compare(
        splits(kind, number), methods=methods, seeds=seeds, val=val, metric=METRIC[kind], jobs=1, model="linear",
        epochs=20, batch_size=64,
    )  # fmt: skip
    rows = {row["method"]: row for row in found.rows}
    best = max((row for name, row in rows.items() if name != "ce"), key=lambda row: row["difference"]["mean"])
    verdict = found.summary["verdict"]
    return {
        "kind": kind, "repetition": number, "metric": METRIC[kind],
        "winners": " ".join(verdict["winners"]), "losers": " ".join(verdict["losers"]),
        "ce": round(rows["ce"]["mean"][METRIC[kind]], 5), "best": best["method"],
        "largest_difference": round(best["difference"]["mean"], 5), "its_low": round(best["difference"]["low"], 5),
    }  # fmt: skip


def main() -> None:
    parser = argument_parser(__doc__, "honesty.csv")
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--methods", default="quick", help="a preset, or methods separated by commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--val", type=float, help="share of the training rows for validation")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if given.out.exists():
        done = {(r["kind"], int(r["repetition"])) for r in csv.DictReader(given.out.open())}
    else:
        given.out.write_text(",".join(COLUMNS) + "\n")
    todo = [(k, r) for r in range(given.repetitions) for k in METRIC if (k, r) not in done]
    parallel = Parallel(n_jobs=given.jobs, return_as="generator_unordered")
    for row in parallel(delayed(repetition)(*one, given.methods, given.seeds, given.val) for one in todo):
        with given.out.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
    rows = list(csv.DictReader(given.out.open()))
    summary: dict[str, object] = {"machine": facts(), "methods": given.methods, "seeds": given.seeds}
    for kind in METRIC:
        mine = [r for r in rows if r["kind"] == kind]
        wrong = sum(bool(r["winners"]) for r in mine)
        summary[kind] = {"repetitions": len(mine), "named a winner": wrong}
        print(f"{kind}, judged by {METRIC[kind]}: a winner was named in {wrong} of {len(mine)} repetitions")
    save(given.out.with_suffix(".json"), summary)


if __name__ == "__main__":
    main()
