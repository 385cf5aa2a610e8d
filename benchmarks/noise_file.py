"""Methods on CIFAR with wrong labels, several runs at once from one exported file, beside the published numbers.

    python -m benchmarks.export_cifar --ratio 1 --data-dir D --out cifar10.npz            # all images
    python -m benchmarks.export_cifar --ratio 1 --largest 1000 --data-dir D --out small.npz   # 10,000 of them, 34 MiB
    PYTHONPATH=src python -m benchmarks.noise_file --data cifar10.npz --noise symmetric:0.4,counts=equal
        --methods "ce,gce(k=0.5,start=0.667,every=0.008),sce,absgd(base='sce',lam=switch(0.666,inf,-1))"
        --seeds 5 --device cuda --out DIR
    PYTHONPATH=src python -m benchmarks.noise_file --data cifar10.npz --ratio 100 --noise proportional:0.2
        --methods ce,ldam-drw,mislas,rolt-drw,rcal --seeds 3 --device cuda --out DIR

The first is the CIFAR-10 column of table 6 of ABSGD (SCE's network, 120 epochs), the second one of RCAL's (ResNet-32,
200 epochs, ratio 10 or 100). The recipe is that of `longtail reproduce` for the same benchmark; --epochs, --model and
--set change it, --rows takes a balanced part of the images first. The rows of --ratio are those of `longtail compare`.

Every run is a folder below --out, and the same command goes on there. --minutes M: trainings stop with a checkpoint
when the time is over, and what is finished is written. `--device cpu --small` is a smoke test on random images.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks.command import argument_parser, save
from benchmarks.gpu.__main__ import card
from benchmarks.gpu.setting import Setting
from benchmarks.machine import facts
from benchmarks.noisy_subset import benchmark_of, shaped, with_noise
from longtail.catalogue.resolve import split_specs
from longtail.comparison.benchmarks import benchmark, usual_recipe
from longtail.data import Splits
from longtail.data.read.cifar import SOURCES
from longtail.engine import Recipe
from longtail.engine.due_step import Events
from longtail.engine.lanes import device_of
from longtail.engine.side_by_side import endings
from longtail.engine.works import Pending, Work
from longtail.facts.ledger import mark, published
from longtail.methods import method
from longtail.methods.tuning.space import recipe_changes
from longtail.runs.train import Fit

SPARE = 20.0
"""Seconds for the last predictions and files."""
COLUMNS = ("last", "best_test")


@dataclass(frozen=True)
class Asked:
    """What is trained, and how."""

    splits: Splits
    noise: str
    methods: tuple[str, ...]
    seeds: int
    recipe: Recipe
    device: str
    evaluations: int

    @property
    def name(self) -> str | None:
        """The published benchmark."""
        return benchmark_of(self.splits, self.noise)


def recipe_of(splits: Splits, noise: str, small: bool, **changes: Any) -> Recipe:
    """Return the recipe of `longtail reproduce` for these data, with the changes that are not None."""
    kind = noise.partition(":")[0]
    tail = "" if splits.facts.get("ratio", 1.0) == 1 else f"-lt-{splits.facts['ratio']:g}"
    usual = usual_recipe(f"{splits.name}{tail}-noise-{kind}-")
    if small:
        usual = replace(usual, epochs=2, batch_size=20, model="convnet", model_args={"width": 2}, precision="float32")
    changes = {name: value for name, value in changes.items() if value is not None}
    own_model: dict[str, Any] = {"model_args": {}} if "model" in changes else {}
    return replace(usual, **own_model, **changes)


def until(fit: Fit, deadline: float, note: Callable[[], None]) -> Events:
    """Yield the events of a training up to the deadline; then it is closed with a checkpoint."""
    with closing(fit.events):
        for event in fit.events:
            yield event
            if isinstance(event, dict):
                note()
                if time.monotonic() > deadline:
                    return


def works(asked: Asked, out: Path, deadline: float, note: Callable[[str, dict[str, Any]], None]) -> Iterator[Pending]:
    """Yield a work for each run, seed by seed, which ends with what is to be kept of it."""

    def work(spec: str, seed: int, folder: Path) -> Work:
        fit = Fit(
            spec, asked.splits, seed=seed, recipe=asked.recipe, folder=folder, device=asked.device, threads=1,
            evaluations=asked.evaluations,
        )  # fmt: skip
        yield [until(fit, deadline, lambda: note(folder.name, summary(spec, seed, folder)))]
        return summary(spec, seed, folder)

    for seed in range(asked.seeds):
        for number, spec in enumerate(asked.methods):
            if time.monotonic() < deadline:
                folder = out / f"{number}-{method(spec).key}-seed-{seed}"
                yield Pending(folder.name, partial(work, spec, seed, folder))


def summary(spec: str, seed: int, folder: Path) -> dict[str, Any]:
    """Return how far a run is, by its files: epochs of all stages, and accuracies on the clean test part in percent."""
    lines = folder / "metrics.jsonl"
    records = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    scores = [100 * record["scores"]["accuracy"] for record in records if "scores" in record]
    end = folder / "run.json"
    row = {
        "method": spec, "seed": seed, "epochs": len(records), "finished": end.exists(),
        "seconds": round(sum(record["seconds"] for record in records), 1),
    }  # fmt: skip
    if end.exists():  # with the rule that a method has for its predictions
        scores = [*scores[:-1], 100 * json.loads(end.read_text())["scores"]["accuracy"]]
    return row | ({"last": round(scores[-1], 2), "best_test": round(max(scores), 2)} if scores else {})


def beside(asked: Asked, spec: str) -> list[dict[str, Any]]:
    """Return the published numbers of a method on this benchmark, with why each is not comparable."""
    if asked.name is None:
        return []
    ours, known = benchmark(asked.name).protocol(asked.recipe), method(spec).spec
    clean = asked.splits.clean_counts
    assert clean is not None
    largest = int(clean.max())
    less = [] if largest == SOURCES[asked.splits.name].largest else [f"{len(asked.splits.train):,} images here"]
    rows = [row for row in published() if (row.benchmark, row.method) == (asked.name, known)]
    return [
        {
            "accuracy": round(100 - row.error, 2), "std": row.std, "source": row.source, "variant": row.variant,
            "not_comparable": [*less, *row.not_comparable(ours)],
        }
        for row in rows
    ]  # fmt: skip


def table(asked: Asked, runs: dict[str, Any]) -> str:
    """Return ours and the published numbers as a Markdown table: means over finished seeds."""
    lines = ["| method | finished | last | best on test | published | |", "|---|---:|---:|---:|---:|---|"]
    for spec in asked.methods:
        done = [run for run in runs.values() if run["method"] == spec and run["finished"]]
        cells = [_spread([run[name] for run in done]) for name in COLUMNS]
        theirs = beside(asked, spec)
        numbers = "; ".join(f"{row['accuracy']:.2f}" for row in theirs)
        why = "; ".join(f"{mark(row['not_comparable'])} {row['source']}" for row in theirs)
        lines.append(f"| {spec} | {len(done)} of {asked.seeds} | {' | '.join(cells)} | {numbers} | {why} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def described(asked: Asked) -> dict[str, Any]:
    """Return what identifies the trainings, as plain values."""
    truth = asked.splits.truth
    assert truth is not None
    wrong = truth[: len(asked.splits.train)] != asked.splits.train.targets
    return {
        "benchmark": asked.name, "data": asked.splits.hash, "rows": len(wrong), "facts": asked.splits.facts,
        "noise": asked.noise, "wrong_share": float(wrong.double().mean()), "recipe": asked.recipe.to_json(),
        "published": {spec: beside(asked, spec) for spec in asked.methods},
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Train what is not finished, print each run as it ends, and write all to --out/noise.json."""
    parser = argument_parser(__doc__)
    parser.add_argument("--data", type=Path, help="the file of benchmarks.export_cifar --ratio 1")
    parser.add_argument("--noise", default="symmetric:0.4", help="as of longtail compare")
    parser.add_argument("--methods", default="ce")
    parser.add_argument("--ratio", type=float, help="make the images long-tailed")
    parser.add_argument("--rows", type=int, help="a balanced part of the images, before --ratio")
    parser.add_argument("--model")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--set", dest="numbers", help='numbers of the recipe, as in "lr=0.1, weight_decay=1e-4"')
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--evaluations", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument("--jobs", type=int, help="runs at once at most")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a smoke test: a few random images and epochs")
    given = parser.parse_args(arguments)
    start = time.monotonic()
    if given.out is None:
        parser.error("--out FOLDER is needed; the same command resumes there")
    if given.data is None and not given.small:
        parser.error("--data FILE is needed; python -m benchmarks.export_cifar --ratio 1 --out FILE writes it")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, torch finds none; --device cpu goes without one")
    try:
        asked = prepared(given)
    except ValueError as error:
        parser.error(str(error))
    run(asked, given.out, start + 60 * given.minutes - (0 if given.small else SPARE), given.jobs)


def prepared(given: Any) -> Asked:
    """Return what the options ask for, with data read and checked; ValueError for what does not go together."""
    methods = tuple(split_specs(given.methods))
    for spec in methods:
        method(spec)
    clean = shaped(Setting(given.device, given.data, given.small).splits(), rows=given.rows, ratio=given.ratio)
    splits = with_noise(clean, given.noise)
    numbers = recipe_changes(given.numbers) if given.numbers else {}
    recipe = recipe_of(splits, given.noise, given.small, model=given.model, **{"epochs": given.epochs, **numbers})
    return Asked(splits, given.noise, methods, given.seeds, recipe, given.device, given.evaluations)


def run(asked: Asked, out: Path, deadline: float, jobs: int | None) -> None:
    """Train up to the deadline, and write after every epoch."""
    file, start = out / "noise.json", time.monotonic()
    result: dict[str, Any] = {"machine": facts() | card(asked.device), **described(asked), "runs": {}}

    def note(key: str, row: dict[str, Any]) -> None:
        result["runs"][key] = row
        save(file, result)

    device = device_of(asked.device)
    for ending in endings(works(asked, out, deadline, note), device, device.admission(jobs)):
        if ending.error is None:
            note(ending.key, ending.result)
        shown = ending.result if ending.error is None else f"{type(ending.error).__name__}: {ending.error}"
        print(f"{time.monotonic() - start:5.0f} s  {ending.key}: {shown}", flush=True)
    save(file, result)
    print(f"{asked.name or asked.splits.name}, {100 * result['wrong_share']:.1f} % of {result['rows']:,} labels wrong")
    print(table(asked, result["runs"]))
    done, all_runs = sum(run["finished"] for run in result["runs"].values()), len(asked.methods) * asked.seeds
    print(f"wrote {file}: {done} of {all_runs} finished" + ("" if done == all_runs else "; the same command goes on"))


if __name__ == "__main__":
    main()
