"""Digits at ratio 50 in float32, bfloat16 and float16: whether the scores differ by more than seeds do.

The same seeds start from the same weights and see the same batches in every precision. Differences are paired by
seed; beside them stands the standard deviation over seeds in float32, the noise of one run.
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
HALVES = ("bfloat16", "float16")
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
        full, *halves = (
            np.array([100 * accuracy(spec, splits, seed, name, given.epochs) for seed in range(given.seeds)])
            for name in ("float32", *HALVES)
        )
        row = {"float32": full.mean(), "seeds_std": full.std(ddof=1)}
        text = f"  {spec:<16} float32 {row['float32']:5.1f} +- {row['seeds_std']:.1f}"
        for name, half in zip(HALVES, halves, strict=True):
            change = half - full
            error = change.std(ddof=1) / np.sqrt(given.seeds)
            row |= {name: half.mean(), f"{name}_difference": change.mean(), f"{name}_standard_error": error}
            text += f", {name} {half.mean():5.1f} ({change.mean():+.2f} +- {error:.2f})"
        result["methods"][spec] = {name: round(float(value), 2) for name, value in row.items()}
        print(text, flush=True)
    save(given.out, result)


if __name__ == "__main__":
    main()
