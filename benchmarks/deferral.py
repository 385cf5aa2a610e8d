"""Which learning rate lets deferred methods act in the common recipe for small data; what it costs the others.

`choose` trains every candidate on digits, four tables and a folder of images and scores it on validation rows; the
test part is not used. Validation rows of a table are a quarter of its training rows; of digits and of the images they
are training rows that the long-tailed subset leaves out. `test` compares the recipe before with the recipe now on the
test part. Both write balanced accuracy per method and seed, and how many predictions differ from those of ce.
What the result file has already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.command import argument_parser, save
from benchmarks.export_cifar import write
from benchmarks.machine import facts
from longtail.data import Part, Splits, load
from longtail.data.read.cifar import cifar
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.facts.profiles import long_tail
from longtail.facts.schedules import Schedule, cosine, steps
from longtail.metrics import evaluate
from longtail.posthoc import adjust_logits
from longtail.runs.train import Fit

TABLES = ("mammography", "abalone", "winequality-white", "ecoli")
LARGEST, RATIO, TESTED, SIZE = 300, 50, 90, 12
"""The folder of images: CIFAR-10, classes of 300 to 6 training images, 90 others each for validation and for testing,
scaled to 12 x 12."""
DEFERRED = ("ce-drw", "ce-drs", "ldam-drw")
CHOOSING = ("ce", "ce-drw", "ce-drs")
TESTING = ("ce", *DEFERRED, "logit-adjusted", "cb-rs")
VAL = 0.25


@dataclass(frozen=True)
class Candidate:
    """The factor on the learning rate over progress, and the progress at which deferred methods begin."""

    shape: Schedule
    at: float = 0.8


CANDIDATES = {
    "drops of 100x at 0.8 and 0.9": Candidate(steps((0.8, 0.9), (1.0, 0.01, 0.0001))),
    "drops of 10x at 0.8 and 0.9": Candidate(steps((0.8, 0.9), (1.0, 0.1, 0.01))),
    "cosine": Candidate(cosine(1.0, 0.0)),
    "deferral at 0.6, drops of 100x at 0.8 and 0.95": Candidate(steps((0.8, 0.95), (1.0, 0.01, 0.0001)), 0.6),
    "drops of 10x at 0.9 and 0.95": Candidate(steps((0.9, 0.95), (1.0, 0.1, 0.01))),
    "drops of 10x at 0.85 and 0.95": Candidate(steps((0.85, 0.95), (1.0, 0.1, 0.01))),
    "deferral at 0.6, cosine": Candidate(cosine(1.0, 0.0), 0.6),
    "100x at 0.7, raised to 0.1 at 0.8, 100x at 0.9": Candidate(steps((0.7, 0.8, 0.9), (1.0, 0.01, 0.1, 0.01))),
}
BEFORE, NOW = "drops of 100x at 0.8 and 0.9", "the recipe now"


@dataclass(frozen=True)
class Shaped(Recipe):
    """A recipe whose learning rate is lr x warm-up x shape."""

    shape: Schedule = field(kw_only=True)

    def learning_rate(self, progress: float) -> float:
        return replace(self, drop=1.0, decay="steps").flat(progress) * float(self.shape(progress))

    def flat(self, progress: float) -> float:
        return super().learning_rate(progress)


def shaped(recipe: Recipe, shape: Schedule) -> Recipe:
    """Return the recipe with another course of the learning rate."""
    return Shaped(**{f.name: getattr(recipe, f.name) for f in fields(Recipe)}, shape=shape)


def photos(data_dir: Path, folder: Path) -> Path:
    """Write the folder of images, once."""
    if not folder.exists():
        splits = cifar("cifar10", data_dir=data_dir, ratio=RATIO)
        sizes = long_tail(LARGEST, len(splits.classes), RATIO).tolist()
        for name, part, first, last in (
            ("train", splits.train, [0] * len(sizes), sizes),
            ("val", splits.train, sizes, [n + TESTED for n in sizes]),
            ("test", splits.test, [0] * len(sizes), [TESTED] * len(sizes)),
        ):
            rows = [
                torch.nonzero(part.targets == j).flatten()[a:b]
                for j, (a, b) in enumerate(zip(first, last, strict=True))
            ]
            write(part.take(torch.cat(rows)), folder / name)
    return folder


def digits() -> Splits:
    """Return digits at ratio 50 with the rows as validation that ratio 1 has besides."""
    splits, even = load("digits", ratio=RATIO), load("digits", ratio=1.0)
    used = {x.numpy().tobytes() for x in splits.train.inputs}
    rest = [i for i, x in enumerate(even.train.inputs) if x.numpy().tobytes() not in used]
    return replace(splits, val=even.train.take(torch.tensor(rest)))


def sources(given: argparse.Namespace) -> dict[str, Callable[[], Splits]]:
    """Return how to load each of the data, with validation rows where the recipe is chosen."""
    val = VAL if given.part == "choose" else None
    images = photos(given.cifar, given.photos)
    out: dict[str, Callable[[], Splits]] = {"digits": digits}
    for name in TABLES:
        out[name] = partial(load, given.tables / f"{name}.csv", val=val)
    out["photos"] = partial(load, images, size=SIZE)
    return {name: out[name] for name in given.data or out}


def trained(spec: str, splits: Splits, seed: int, recipe: Recipe, inputs: Callable[[int], Any]) -> Tensor:
    """Return the scores of these rows after training."""
    fit = Fit(spec, splits, seed=seed, recipe=recipe, threads=1, evaluations=0)
    for _ in fit:
        pass
    learner: Any = fit.learner.train(False)
    return torch.cat([learner.predict(x) for x in inputs(1024)])


def measured(
    splits: Splits, part: Part, recipe: Recipe, at: float, methods: tuple[str, ...], seeds: int
) -> dict[str, Any]:
    """Return balanced accuracy on these rows, and how many predictions are not ce's, per method and seed."""
    rows: dict[str, Any] = {}
    for seed in range(seeds):
        scores = {}
        for name in methods:
            spec = f"{name}(at={at})" if name in DEFERRED else name
            scores[name] = trained(spec, splits, seed, recipe, part.chunks)
        scores["logit-adjusted-posthoc"] = adjust_logits(scores["ce"], splits.class_counts)
        for name, found in scores.items():
            row = rows.setdefault(name, {"balanced_accuracy": [], "differ": []})
            value = evaluate(found, part.targets, class_counts=splits.class_counts)["balanced_accuracy"]
            row["balanced_accuracy"].append(round(float(value), 5))
            row["differ"].append(int((found.argmax(1) != scores["ce"].argmax(1)).sum()))
    return {"rows": len(part), "methods": rows}


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("part", choices=("choose", "test"))
    parser.add_argument("--tables", type=Path, required=True, help="folder of " + ", ".join(f"{t}.csv" for t in TABLES))
    parser.add_argument("--cifar", type=Path, required=True, help="folder with CIFAR-10's train-* and test-* parquet")
    parser.add_argument("--photos", type=Path, required=True, help="folder for the images, made where it is missing")
    parser.add_argument("--data", nargs="+", help="some of the data; by default all")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    candidates: dict[str, Candidate | None] = {**CANDIDATES}
    if given.part == "test":
        candidates = {BEFORE: CANDIDATES[BEFORE], NOW: None}
    methods = CHOOSING if given.part == "choose" else TESTING
    out = given.out or Path("benchmarks/results") / f"deferral-{given.part}.json"
    result: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"seconds": 0, "data": {}}
    if result.setdefault("seeds", given.seeds) != given.seeds:
        parser.error(f"{out} has {result['seeds']} seeds, not {given.seeds}; write to another file")
    command = (
        f"python -m benchmarks.deferral {given.part} --seeds {given.seeds} --tables TABLES --cifar CIFAR10 --photos NEW"
    )
    result["machine"] = facts() | {"command": command}
    for data, source in sources(given).items():
        splits = source()
        part = splits.val if given.part == "choose" else splits.test
        assert part is not None
        usual = default_recipe(splits)
        cells = result["data"].setdefault(data, {})
        for name, candidate in candidates.items():
            if name in cells:
                continue
            start = time.perf_counter()
            recipe = usual if candidate is None else shaped(usual, candidate.shape)
            found = measured(splits, part, recipe, 0.8 if candidate is None else candidate.at, methods, given.seeds)
            cells[name] = found
            seconds = time.perf_counter() - start
            result["seconds"] = round(result["seconds"] + seconds)
            save(out, result)
            shown = ", ".join(
                f"{m} {100 * np.mean(r['balanced_accuracy']):.1f} ({np.mean(r['differ']):.1f})"
                for m, r in found["methods"].items()
            )
            print(f"{seconds:5.0f} s {data}, {name}: {shown}", flush=True)
    save(out, result)


if __name__ == "__main__":
    main()
