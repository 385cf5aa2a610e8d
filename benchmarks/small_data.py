"""What a training of a small table takes: with a checkpoint after every epoch, by the clock, and side by side.

Besides, a step of the same network by bare torch: alone, and by torch.func over stacked parameters, whose bytes differ.
`--write FOLDER` only writes the tables that are compared by the command line: 215 rows of ecoli's five largest
classes, 900 of winequality-white's.
"""

from __future__ import annotations

import copy
import csv
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.data import load
from longtail.engine.side_by_side import side_by_side
from longtail.runs.journal import VARIABLE
from longtail.runs.train import Fit

TABLES = {"ecoli": (215, 20), "winequality-white": (900, 150)}
"""Rows that are drawn, of classes with at least so many rows."""
WIDTHS, TOGETHER = (8, 15), 5


def write(name: str, tables: Path, folder: Path) -> Path:
    """Write the rows of one table, with a header."""
    rows, least = TABLES[name]
    read = list(csv.reader((tables / f"{name}.csv").read_text().splitlines()))
    sizes = Counter(row[-1] for row in read)
    chosen = [row for row in read if sizes[row[-1]] >= least]
    random.Random(0).shuffle(chosen)
    head = [*(f"x{i}" for i in range(len(read[0]) - 1)), "label"]
    path = folder / f"{name}-{rows}.csv"
    lines = [head, *([*row[:-1], f"c{row[-1]}"] for row in chosen[:rows])]
    path.write_text("\n".join(map(",".join, lines)) + "\n")
    return path


def trainings(splits: Any, seeds: int, folder: Path | None) -> list[Fit]:
    """Return trainings of ce that have not begun."""
    places = [None if folder is None else folder / str(seed) for seed in range(seeds)]
    return [Fit("ce", splits, seed=seed, threads=1, folder=place) for seed, place in enumerate(places)]


def seconds(run: Callable[[list[Fit]], None], splits: Any, checkpoints: str | None) -> float:
    """Return the seconds of one of several trainings, the best of three; without checkpoints they have no folder."""
    os.environ[VARIABLE] = checkpoints or "1"
    taken = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as name:
            fits = trainings(splits, TOGETHER, None if checkpoints is None else Path(name))
            start = time.perf_counter()
            run(fits)
            taken.append((time.perf_counter() - start) / TOGETHER)
    return min(taken)


def in_turn(fits: list[Fit]) -> None:
    """Train one after the other."""
    for fit in fits:
        for _ in fit:
            pass


def at_once(fits: list[Fit]) -> None:
    """Train side by side."""
    side_by_side([fit.events for fit in fits])


def milliseconds(step: Callable[[], None], steps: int = 300) -> float:
    """Return what a step takes, after a few."""
    for _ in range(20):
        step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return 1e3 * (time.perf_counter() - start) / steps


def network() -> nn.Module:
    """The default network of a table of six numbers and five classes."""
    return nn.Sequential(nn.Linear(6, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 5))


def by_torch(width: int | None) -> float:
    """Return the milliseconds of a step of one network, alone or as one of a stack."""
    x, y = torch.randn(width or 1, 32, 6), torch.randint(5, (width or 1, 32))
    if width is None:
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)

        def alone() -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(x[0]), y[0]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return milliseconds(alone)
    models = [network() for _ in range(width)]
    stacked, _ = stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")
    parameters = {name: value.detach() for name, value in stacked.items()}
    momenta = {name: torch.zeros_like(value) for name, value in parameters.items()}
    gradients = vmap(grad_and_value(lambda p, x, y: F.cross_entropy(functional_call(base, p, (x,)), y)))

    def stack() -> None:
        found, _ = gradients(parameters, x, y)
        for name, value in parameters.items():
            momenta[name].mul_(0.9).add_(found[name].add_(value, alpha=2e-4))
            value.sub_(momenta[name], alpha=0.1)

    return milliseconds(stack) / width


def main() -> None:
    parser = argument_parser(__doc__, "small-data.json")
    parser.add_argument("--tables", type=Path, required=True, help="folder with ecoli.csv and winequality-white.csv")
    parser.add_argument("--write", type=Path, help="write the tables here, and measure nothing")
    given = parser.parse_args()
    if given.write is not None:
        for name in TABLES:
            print(write(name, given.tables, given.write))
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        splits = load(write("ecoli", given.tables, Path(folder)), label="label")
    in_turn(trainings(splits, 1, None))
    result: dict[str, Any] = {
        "machine": facts(),
        "seconds of a training": {
            "without a folder": seconds(in_turn, splits, None),
            "a checkpoint after every epoch": seconds(in_turn, splits, "0"),
            "by the clock": seconds(in_turn, splits, "1"),
            f"{TOGETHER} side by side, without a folder": seconds(at_once, splits, None),
        },
        "milliseconds of a step of bare torch": {
            "alone": by_torch(None), **{f"torch.func, {w} stacked": by_torch(w) for w in WIDTHS},
        },
    }  # fmt: skip
    save(given.out, result)
    print(given.out.read_text())


if __name__ == "__main__":
    main()
