"""FixMatch, + DARP and + ABC on CIFAR-10-LT with few labels, shortened to what one GPU carries in 8 minutes.

    python -m benchmarks.export_cifar --benchmark cifar10-lt-100-labeled-1500-unlabeled-3000 --data-dir D --out semi.npz
    PYTHONPATH=src python -m benchmarks.semi_file --data semi.npz --out DIR          # on the machine with the card

The recipe is USB's (`engine.default_recipe.USB`: WRN-28-2, batches of 64 + 64 x 2, constant learning rate), all but its
length of 262,144 steps. How many steps fit is measured first: 50 of each method by itself, and 50 of all side by side;
the faster way is taken. An estimate from ResNet-32 (3.5 ms a captured step of 128 images on an H200, 19 ms eager, nine
times the arithmetic here) is 10 to 15 ms a captured step, 25 to 35 ms of DARP's, which cannot be captured, and about
10,000 steps of each method, 4 % of USB's. So short a training says nothing about published differences: it shows that
the three train on a GPU, what they cost, and how many pseudo-labels the corrections change.

Runs resume: the same command goes on from the checkpoints with the steps that were chosen. The result is written after
every epoch. `--device cpu --small` is a smoke test on random images. Full length, with the parquet files:

    longtail reproduce cifar10-lt-100-labeled-1500-unlabeled-3000 --methods fixmatch,fixmatch-darp,fixmatch-abc
        --evaluations 256 --data-dir D --device cuda
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.command import argument_parser, save
from benchmarks.gpu.__main__ import card
from benchmarks.gpu.sections import predicted
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.step import next_epochs
from benchmarks.machine import facts
from benchmarks.projection import problem
from longtail.comparison.benchmarks import usual_protocol
from longtail.data import Splits
from longtail.data.label_kinds import unlabeled
from longtail.engine import Recipe
from longtail.engine.admission import Admission
from longtail.engine.default_recipe import USB
from longtail.engine.due_step import Events
from longtail.engine.lanes import device_of
from longtail.engine.side_by_side import endings
from longtail.engine.works import Pending, Work
from longtail.facts.ledger import mark, published
from longtail.functional import project_on_totals
from longtail.methods import explained
from longtail.runs.train import Fit

METHODS = ("fixmatch", "fixmatch-darp", "fixmatch-abc")
BENCHMARK = "cifar10-lt-100-labeled-1500-unlabeled-3000"
EPOCHS = 20
"""In which the steps are made; the test part is evaluated after each."""
MEASURED, LEAST = 50, 10
"""Steps that are measured, and of an epoch at least."""
SPARE = 30.0
"""Seconds for the last predictions and files."""


def data(setting: Setting) -> Splits:
    """Return the data of the file; in a smoke test random images, of which some have lost their labels."""
    splits = setting.splits()
    if setting.data is not None:
        return replace(splits, truth=None)
    rest = replace(splits.train, targets=unlabeled(len(splits.train)))
    return replace(splits, unlabeled=rest, facts={"source": "cifar10"})


def recipe_of(setting: Setting, epochs: int, steps: int) -> Recipe:
    """Return USB's recipe at this length, of a smoke test with a small network."""
    small = {"batch_size": 8, "model": "convnet", "model_args": {"width": 2}, "precision": "float32"}
    return replace(USB, epochs=epochs, steps=steps, **(small if setting.small else {}))


def projections(setting: Setting) -> dict[str, Any]:
    """Return the seconds of one projection of 50,000 x 100 on a CPU and on the device, and how far apart they are."""
    size, classes = (2_000, 10) if setting.small else (50_000, 100)
    p, w, totals = problem(size, classes, "uniform")
    rows: dict[str, Any] = {"shape": [size, classes]}
    labels: list[Tensor] = []
    for device in ("cpu", setting.device):
        given = p.to(device)
        for _ in range(2):  # the first one loads libraries
            start = time.perf_counter()
            found = project_on_totals(given, totals, weights=w.to(device))
            labels.append(found.labels.cpu())  # waits for the device
            seconds = time.perf_counter() - start
        rows[device] = {"seconds": round(seconds, 4), "iterations": found.iterations, "residual": found.residual}
    return {**rows, "largest_difference": float((labels[0] - labels[-1]).abs().max())}


def measured(recipe: Recipe, splits: Splits, specs: tuple[str, ...], device: str) -> float:
    """Return seconds of one step of all of these, side by side; the recipe has two epochs, of which the last counts."""
    fits = [Fit(spec, splits, recipe=recipe, device=device, threads=1, evaluations=0) for spec in specs]
    next_epochs(fits)  # captures, and chooses algorithms
    start = time.perf_counter()
    next_epochs(fits)  # its records are read from the device
    assert recipe.steps is not None
    seconds = (time.perf_counter() - start) / recipe.steps
    for fit in fits:
        fit.close()
    return seconds


def planned(setting: Setting, splits: Splits, left: Callable[[], float]) -> dict[str, Any]:
    """Return how many steps fit, and whether the methods train side by side or one after another."""
    short = recipe_of(setting, 2, 2 if setting.small else MEASURED)  # DARP refines in half of them
    alone = {spec: measured(short, splits, (spec,), setting.device) for spec in METHODS}
    together = measured(short, splits, METHODS, setting.device)
    fit = Fit(METHODS[0], splits, recipe=recipe_of(setting, 1, 1), device=setting.device, threads=1, evaluations=0)
    with closing(fit.events):
        next(fit)
        start = time.perf_counter()
        predicted(fit, splits, setting.device)
        evaluation = time.perf_counter() - start
    seconds = left() - SPARE - EPOCHS * len(METHODS) * evaluation
    steps = int(seconds / min(together, sum(alone.values())) / EPOCHS)
    return {
        "milliseconds_alone": {spec: round(1000 * value, 2) for spec, value in alone.items()},
        "milliseconds_of_all_together": round(1000 * together, 2),
        "side_by_side": together <= sum(alone.values()),
        "eager": {spec: explained(spec)["eager"] for spec in METHODS},
        "evaluation_seconds": round(evaluation, 3),
        "epochs": 2 if setting.small else EPOCHS,
        "steps": 3 if setting.small else max(steps, LEAST),
    }


def epochs_of(fit: Fit, deadline: float, note: Callable[[dict[str, Any]], None]) -> Events:
    """Yield the events of a training up to the deadline; then it is closed with a checkpoint."""
    with closing(fit.events):
        for event in fit.events:
            yield event
            if isinstance(event, dict):
                note(event)
                if time.monotonic() > deadline:
                    return


def works(
    setting: Setting, splits: Splits, plan: dict[str, Any], out: Path, deadline: float, result: dict[str, Any]
) -> Iterator[Pending]:
    """Yield a work for each method, which ends with what is to be kept of it."""
    recipe = recipe_of(setting, plan["epochs"], plan["steps"])

    def work(spec: str) -> Work:
        fit = Fit(
            spec, splits, recipe=recipe, folder=out / spec, device=setting.device, threads=1, evaluations=plan["epochs"]
        )
        kept: list[dict[str, Any]] = [json.loads(line) for line in _lines(out / spec / "metrics.jsonl")]

        def note(record: dict[str, Any]) -> None:
            kept[:] = [*(one for one in kept if one["epoch"] < record["epoch"]), record]  # some may be made again
            result["runs"][spec] = summary(spec, kept, plan)
            save(out / "semi.json", result)

        yield [epochs_of(fit, deadline, note)]
        row = summary(spec, kept, plan)
        return {**row, **final(fit.run.scores)} if len(kept) == plan["epochs"] else row

    for spec in METHODS:
        if time.monotonic() < deadline:
            yield Pending(spec, partial(work, spec))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def summary(spec: str, records: list[dict[str, Any]], plan: dict[str, Any]) -> dict[str, Any]:
    """Return how far a run is, and its accuracies in percent; on the balanced test part they are bACC."""
    scores = [100 * record["scores"]["accuracy"] for record in records]
    rows = [row for row in published() if (row.benchmark, row.method) == (BENCHMARK, spec)]
    usual = usual_protocol(BENCHMARK)
    return {
        "epochs": len(records),
        "steps": len(records) * plan["steps"],
        "accuracy": round(scores[-1], 2),
        "best_test": round(max(scores), 2),
        "mean_of_last_5": round(sum(scores[-5:]) / len(scores[-5:]), 2),
        "changed": [record.get("changed") for record in records],
        "confident": [record.get("confident") for record in records],
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "published": {f"{row.source} {mark(row.not_comparable(usual))}": round(100 - row.error, 2) for row in rows},
    }


def final(scores: dict[str, Any]) -> dict[str, Any]:
    """Return recalls and GM in percent, as in DARP's code, where a recall of 0 counts as 1 / (100 C)."""
    recalls = torch.tensor(scores["per_class"]["recall"])
    floor = 1 / (100 * len(recalls))
    return {"gm": round(100 * float(recalls.clamp(min=floor).log().mean().exp()), 2), "recall": recalls.tolist()}


def main(arguments: list[str] | None = None) -> None:
    """Plan, train what is not finished, and print each run as it ends."""
    parser = argument_parser(__doc__)
    parser.add_argument("--data", type=Path, help="the file of benchmarks.export_cifar --benchmark")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a smoke test: a few random images and steps")
    parser.add_argument("--limit", type=float, default=480, help="seconds for everything")
    given = parser.parse_args(arguments)
    start = time.monotonic()
    if given.out is None:
        parser.error("--out FOLDER is needed; the same command resumes there")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, torch finds none; --device cpu --small tries it without one")
    setting = Setting(given.device, given.data, given.small)
    splits, file = data(setting), given.out / "semi.json"
    result = json.loads(file.read_text()) if file.exists() else {"runs": {}}
    result |= {"machine": facts() | card(given.device), "data": splits.hash, "limit": given.limit}
    for name, make in {
        "projection": partial(projections, setting),
        "plan": partial(planned, setting, splits, lambda: start + given.limit - time.monotonic()),
    }.items():
        if name not in result:
            result[name] = make()
            save(file, result)
        print(f"{time.monotonic() - start:5.0f} s  {name}: {json.dumps(result[name])}", flush=True)
    admission = Admission(None if result["plan"]["side_by_side"] else 1)
    pending = works(setting, splits, result["plan"], given.out, start + given.limit - SPARE, result)
    for ending in endings(pending, device_of(given.device), admission):
        if ending.error is None:
            result["runs"][ending.key] = ending.result
        shown = ending.result if ending.error is None else {"error": f"{type(ending.error).__name__}: {ending.error}"}
        print(f"{time.monotonic() - start:5.0f} s  {ending.key}: {json.dumps(shown)}", flush=True)
        save(file, result)
    done = [spec for spec in METHODS if "gm" in result["runs"].get(spec, {})]
    print(f"wrote {file}: {len(done)} of {len(METHODS)} finished" + ("" if len(done) == len(METHODS) else "; resume"))


if __name__ == "__main__":
    main()
