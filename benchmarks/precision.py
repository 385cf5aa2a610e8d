"""Digits at ratio 50 in float32 and in bfloat16: whether the scores differ by more than seeds do.

The same seeds start from the same weights and see the same batches in both precisions. The difference is paired by
seed; beside it stands the standard deviation over seeds in float32, the noise of one run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from benchmarks.score import balanced_accuracy
from longtail.data import Splits, load
from longtail.engine.default_recipe import default_recipe

METHODS = ("ce", "ldam-drw", "logit-adjusted", "cb-focal", "absgd(lam=5.0)", "sam")
RATIO = 50


def accuracy(spec: str, splits: Splits, seed: int, precision: str, epochs: int | None) -> float:
    """Balanced accuracy on the test part."""
    recipe = replace(default_recipe(splits, epochs=epochs), precision=precision)
    return balanced_accuracy(spec, splits, splits.test, seed, recipe)


def main() -> None:
    parser = argument_parser(__doc__, "precision-digits.json")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="by default the recipe's")
    given = parser.parse_args()
    torch.set_num_threads(1)
    splits = load("digits", ratio=RATIO)
    result: dict[str, Any] = {"machine": facts(), "seeds": given.seeds, "methods": {}}
    print(f"digits at ratio {RATIO}, {given.seeds} seeds, balanced accuracy in %")
    for spec in METHODS:
        full, half = (
            np.array([100 * accuracy(spec, splits, seed, name, given.epochs) for seed in range(given.seeds)])
            for name in ("float32", "bfloat16")
        )
        change = half - full
        row = {
            "float32": full.mean(), "bfloat16": half.mean(), "seeds_std": full.std(ddof=1),
            "difference": change.mean(), "standard_error": change.std(ddof=1) / np.sqrt(given.seeds),
        }  # fmt: skip
        result["methods"][spec] = {name: round(float(value), 2) for name, value in row.items()}
        print(
            f"  {spec:<16} float32 {row['float32']:5.1f} +- {row['seeds_std']:.1f}, bfloat16 {row['bfloat16']:5.1f}, "
            f"difference {row['difference']:+.2f} +- {row['standard_error']:.2f}",
            flush=True,
        )
    save(given.out, result)


if __name__ == "__main__":
    main()
