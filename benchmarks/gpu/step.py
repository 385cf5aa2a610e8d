"""Epochs of LDAM-DRW with ResNet-32 on CIFAR-10-LT: the plain loop, ours, and what makes ours faster.

Each variant is a process of its own; those of a group warm up together (compiling, capturing), then take turns, an
epoch each. What is compared are medians over rounds of the ratio within a round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch

from benchmarks.gpu.plain_loop import plain_epochs
from benchmarks.gpu.setting import Result, Setting
from benchmarks.turns import Stepper, Timed, Variant, measure
from longtail.data import Splits
from longtail.engine import capture
from longtail.engine.due_step import Events
from longtail.engine.lanes import device_of
from longtail.engine.side_by_side import side_by_side
from longtail.runs.train import Fit

METHOD = "ldam-drw"
PLAIN = "plain loop"
ROUNDS = 3
PATIENCE = 140.0
"""Seconds in which all variants must be compiled and captured, and in which an epoch must end."""


@dataclass(frozen=True)
class Ours:
    """Trainings of the library: how many side by side, changes to the recipe, whether cuDNN tries its algorithms."""

    runs: int = 1
    capture: bool = False
    compile: bool = False
    autotune: bool = False

    def epochs(self, setting: Setting, spec: str, device: str) -> Stepper:
        """Return what trains the next epoch of all runs; those before have recorded every batch shape."""
        torch.backends.cudnn.benchmark = self.autotune
        if not setting.on_gpu:
            record_on_cpu()
        splits = setting.splits()
        recipe = setting.recipe(splits, compile=self.compile, capture=self.capture)
        fits = [Fit(spec, splits, seed=seed, recipe=recipe, device=device, threads=1) for seed in range(self.runs)]
        for _ in range(0 if setting.small else capture.WARM_UP + 1):
            next_epochs(fits)
        return partial(next_epochs, fits)


VARIANTS = {
    "eager": Ours(),
    "compiled": Ours(compile=True),
    "captured": Ours(capture=True),
    "captured, cuDNN autotuned": Ours(capture=True, autotune=True),
    "compiled and captured": Ours(compile=True, capture=True),
    "captured, six at once": Ours(runs=6, capture=True),
}
SMOKE_TEST = {"eager": Ours(), "captured": Ours(capture=True), "captured, two at once": Ours(runs=2, capture=True)}


def record_on_cpu() -> None:
    """Let steps be captured in this process by the CPU recorder of the tests, in place of CUDA graphs."""
    from tests.methods.recorded_step import Replayed

    capture.recorder_for = lambda device: Replayed


def plain(setting: Setting, device: str) -> Stepper:
    """Return what trains the next epoch of the plain loop."""
    splits = setting.splits()
    return plain_epochs(splits.train, setting.recipe(splits).batch_size, device)


def next_epochs(fits: list[Fit]) -> None:
    """Train one epoch of each: the only place that knows how trainings are run side by side."""
    if len(fits) == 1:
        next(fits[0])
    else:
        side_by_side([until_record(fit.events) for fit in fits], device_of(fits[0].device))


def until_record(events: Events) -> Events:
    """Yield the events of one epoch, up to its record."""
    for event in events:
        yield event
        if isinstance(event, dict):
            return


def variants(setting: Setting) -> tuple[list[dict[str, Variant]], dict[str, str]]:
    """Return the groups measured here, one after another as each takes minutes to compile, and why the rest is not."""
    chosen = {
        name: Variant(partial(ours.epochs, setting, METHOD))
        for name, ours in (VARIANTS if setting.on_gpu else SMOKE_TEST).items()
    }
    known = VARIANTS | SMOKE_TEST
    groups = [{n: v for n, v in chosen.items() if known[n].compile is compiled} for compiled in (False, True)]
    plain_loop = {PLAIN: Variant(partial(plain, setting))}
    return [plain_loop | group for group in groups if group], {n: "needs a GPU" for n in VARIANTS if n not in chosen}


def row(timed: Timed, plain: Timed, splits: Splits, runs: int) -> dict[str, Any]:
    """Return seconds of an epoch of one run, images per second of all, and how many times as fast as the plain loop."""
    if not timed.seconds:
        return {"error": timed.error}
    seconds = median(timed.seconds)
    values: dict[str, Any] = {
        "seconds_per_epoch": round(seconds / runs, 4),
        "images_per_second": round(runs * len(splits.train) / seconds),
        "peak_mb": None if timed.peak_mb is None else round(timed.peak_mb),
        "rounds": [round(value, 4) for value in timed.seconds],
    }
    if ratios := timed.ratios(plain):
        values["times_plain"] = round(runs / median(ratios), 2)
    return values | ({"error": timed.error} if timed.error else {})


def steps(setting: Setting) -> Iterator[Result]:
    """Yield one row per variant."""
    groups, absent = variants(setting)
    splits = setting.splits()
    rounds = 1 if setting.small else ROUNDS
    known = VARIANTS | SMOKE_TEST
    for chosen in groups:
        measured = measure(chosen, rounds, 1, 1, setting.device, PATIENCE, setting.start)
        yield {
            name: row(timed, measured[PLAIN], splits, known[name].runs if name in known else 1)
            for name, timed in measured.items()
            if name != PLAIN or chosen is groups[0]
        }
    yield {name: {"not measured": reason} for name, reason in absent.items()}
