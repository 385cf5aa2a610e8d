"""SimCLR and + GH on CIFAR-100-LT (ratio 100, GH's counts), shortened to what one GPU carries in 8 minutes.

    python -m benchmarks.export_cifar --name cifar100 --ratio 100 --data-dir D --out cifar100-lt-100.npz
    PYTHONPATH=src python -m benchmarks.geometric_file --data cifar100-lt-100.npz --out DIR   # where the card is

The recipe is that of GH's code (ResNet-18, batches of 512, a pass for each view, SGD at 0.5 along a cosine by epochs
after a hundredth of warm-up, weight decay 5e-4, t = 0.2, 100 surrogate classes from half of the training on) but for
its 1000 epochs, and for the second schedule of the learning rate that its + GH rows have: here both rows have one. How
many epochs fit is measured first: steps of each method by itself, and of both side by side; the faster way is taken.

The probe differs from the published one, which is fitted on all 50,000 labels: ours is logistic regression on the
10,847 long-tailed rows. Ours and the published numbers stand side by side to be told apart, not to be compared.

Runs resume: the same command goes on from the checkpoints with the epochs that were chosen. The result is written
after every epoch. `--device cpu --small` is a smoke test on random images.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import pstdev, stdev
from typing import Any

import torch

from benchmarks.command import argument_parser, save
from benchmarks.gpu.__main__ import card
from benchmarks.gpu.setting import Setting
from benchmarks.machine import facts
from benchmarks.semi_file import epochs_of, measured
from longtail.data import Splits
from longtail.data.read.cifar import MEAN, STD
from longtail.engine import Recipe
from longtail.engine.admission import Admission
from longtail.engine.lanes import device_of
from longtail.engine.side_by_side import endings
from longtail.engine.works import Pending, Work
from longtail.methods import explained
from longtail.runs.train import Fit

BASE = "simclr(passes='split')"
METHODS = {"SimCLR": BASE, "SimCLR+GH": f'gh(base="{BASE}")'}
"""Name in the paper's table -> spec."""
PUBLISHED = {
    "SimCLR": {"many": 54.97, "medium": 49.39, "few": 47.67, "std_sample": 3.82},
    "SimCLR+GH": {"many": 57.38, "medium": 52.27, "few": 52.12, "std_sample": 2.99},
}
"""Zhou et al. 2023, CIFAR-100-LT at ratio 100, linear probe on all labels, 1000 epochs, in percent."""
LENGTH, WARM_UP = 1000, 10
"""Epochs of the published recipe, and those of its warm-up."""
MEASURED = 20
"""Steps that are measured."""
SPARE = 120.0
"""Seconds for the four probes of both encoders, on the CPU, and for the last files."""


def recipe_of(setting: Setting, epochs: int, steps: int | None = None) -> Recipe:
    """Return GH's recipe at this length, of a smoke test with a small network."""
    small: dict[str, Any] = {"batch_size": 8, "model": "convnet", "model_args": {"width": 2}, "precision": "float32"}
    usual: dict[str, Any] = {"batch_size": 512, "model": "resnet18", "precision": "auto"}
    return Recipe(
        epochs=epochs, steps=steps, lr=0.5, weight_decay=5e-4, decay="cosine",
        warmup=max(1, round(WARM_UP * epochs / LENGTH)), standardize=(MEAN, STD), **(small if setting.small else usual),
    )  # fmt: skip


def planned(setting: Setting, splits: Splits, left: Callable[[], float]) -> dict[str, Any]:
    """Return how many epochs fit, and whether the two train side by side or one after the other."""
    short = recipe_of(setting, 2, 2 if setting.small else MEASURED)  # GH acts in the second of its epochs
    alone = {name: measured(short, splits, (spec,), setting.device) for name, spec in METHODS.items()}
    together = measured(short, splits, tuple(METHODS.values()), setting.device)
    steps = -(-len(splits.train) // recipe_of(setting, 2).batch_size)
    epochs = int((left() - SPARE) / min(together, sum(alone.values())) / steps)
    return {
        "milliseconds_alone": {name: round(1000 * value, 2) for name, value in alone.items()},
        "milliseconds_of_both_together": round(1000 * together, 2),
        "side_by_side": together <= sum(alone.values()),
        "eager": {name: explained(spec)["eager"] for name, spec in METHODS.items()},
        "steps_of_an_epoch": steps,
        "epochs": 4 if setting.small else min(max(epochs, 2), LENGTH),
    }


def works(
    setting: Setting, splits: Splits, plan: dict[str, Any], out: Path, deadline: float, result: dict[str, Any]
) -> Iterator[Pending]:
    """Yield a work for each method, which ends with what is to be kept of it."""
    recipe = recipe_of(setting, plan["epochs"])

    def work(name: str) -> Work:
        folder = out / name.lower()
        fit = Fit(METHODS[name], splits, recipe=recipe, folder=folder, device=setting.device, threads=1, evaluations=0)
        lines = folder / "metrics.jsonl"
        kept = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []

        def note(record: dict[str, Any]) -> None:
            kept[:] = [*(one for one in kept if one["epoch"] < record["epoch"]), record]  # some may be made again
            result["runs"][name] = summary(name, kept)
            save(out / "geometric.json", result)

        yield [epochs_of(fit, deadline, note)]
        row = summary(name, kept)
        return {**row, **final(fit.run.scores, splits.train.class_counts)} if len(kept) == plan["epochs"] else row

    for name in METHODS:
        if time.monotonic() < deadline:
            yield Pending(name, partial(work, name))


def summary(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far a run is, its losses, and the prior of its surrogate classes by epochs."""
    return {
        "epochs": len(records),
        "loss": [round(record["loss"], 4) for record in records],
        "surrogate_entropy": [record.get("surrogate_entropy") for record in records],
        "surrogate_largest": [record.get("surrogate_largest") for record in records],
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "published, with other labels for the probe": PUBLISHED[name],
    }


def final(scores: dict[str, Any], counts: torch.Tensor) -> dict[str, Any]:
    """Return accuracies in percent, over thirds of the classes as in GH's code, and both standard deviations."""
    recalls = torch.tensor(scores["per_class"]["recall"])[counts.argsort(descending=True, stable=True)]
    third = len(recalls) // 3  # what remains is many's
    parts = torch.split(recalls, [len(recalls) - 2 * third, third, third])
    groups = [100 * float(part.mean()) for part in parts]
    row = dict(zip(("many", "medium", "few"), groups, strict=True))
    row |= {"balanced_accuracy": 100 * scores["balanced_accuracy"]}
    row |= {"std_population": pstdev(groups), "std_sample": stdev(groups)}
    return {name: round(value, 2) for name, value in row.items()}


def table(runs: dict[str, Any]) -> str:
    """Return ours and the published numbers as a Markdown table."""
    columns = ("many", "medium", "few", "std_population", "std_sample")
    lines = ["| | epochs | " + " | ".join(columns) + " |", "|---|---:|" + "---:|" * len(columns)]
    for name, run in runs.items():
        theirs = PUBLISHED[name]
        for title, epochs, row in ((name, run["epochs"], run), (f"{name}, published", LENGTH, theirs)):
            cells = " | ".join(str(row.get(column, "")) for column in columns)
            lines.append(f"| {title} | {epochs} | {cells} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Plan, train what is not finished, and print each run as it ends."""
    parser = argument_parser(__doc__)
    parser.add_argument("--data", type=Path, help="the file of benchmarks.export_cifar --name cifar100")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a smoke test: a few random images and epochs")
    parser.add_argument("--limit", type=float, default=480, help="seconds for everything")
    given = parser.parse_args(arguments)
    start = time.monotonic()
    if given.out is None:
        parser.error("--out FOLDER is needed; the same command resumes there")
    if given.data is None and not given.small:
        parser.error("--data FILE is needed; python -m benchmarks.export_cifar --name cifar100 --out FILE writes it")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, torch finds none; --device cpu --small tries it without one")
    setting = Setting(given.device, given.data, given.small)
    splits, file = setting.splits(), given.out / "geometric.json"
    result = json.loads(file.read_text()) if file.exists() else {"runs": {}}
    result |= {"machine": facts() | card(given.device), "data": splits.hash, "limit": given.limit}
    if "plan" not in result:
        result["plan"] = planned(setting, splits, lambda: start + given.limit - time.monotonic())
        save(file, result)
    print(f"{time.monotonic() - start:5.0f} s  plan: {json.dumps(result['plan'])}", flush=True)
    admission = Admission(None if result["plan"]["side_by_side"] else 1)
    pending = works(setting, splits, result["plan"], given.out, start + given.limit - SPARE, result)
    for ending in endings(pending, device_of(given.device), admission):
        if ending.error is None:
            result["runs"][ending.key] = ending.result
        else:
            print(f"{ending.key}: {type(ending.error).__name__}: {ending.error}", flush=True)
        print(f"{time.monotonic() - start:5.0f} s  {ending.key} ended", flush=True)
        save(file, result)
    print(table(result["runs"]))
    done = [name for name in METHODS if "many" in result["runs"].get(name, {})]
    print(f"wrote {file}: {len(done)} of {len(METHODS)} finished" + ("" if len(done) == len(METHODS) else "; resume"))


if __name__ == "__main__":
    main()
