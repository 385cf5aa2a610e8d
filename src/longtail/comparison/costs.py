"""The cost of a run in seconds and bytes: measure a shortened training from first step to last file, scale it up."""

from __future__ import annotations

import contextlib
import logging
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from longtail.catalogue.method import Method
from longtail.comparison.execute import THREADS
from longtail.data import Examples, Splits
from longtail.engine import Recipe
from longtail.engine.due_step import Events
from longtail.engine.side_by_side import side_by_side
from longtail.facts.types import Record
from longtail.methods import method as resolve
from longtail.runs.cross_validation import is_small
from longtail.runs.run import Run
from longtail.runs.train import Fit

STEPS = 8
"""Steps of a measured epoch, and batches of the test part."""
ESTIMATOR_CELLS = 200_000
"""Rows times classes beyond which an estimator of scikit-learn is measured on some of its rows."""


@dataclass(frozen=True)
class ShortRun:
    """A training on some of the rows for a few epochs, small enough to be measured.

    `together`: how many are trained side by side, as the folds of a run are; 1 for a training by itself.
    `step_ratio` is the steps of an epoch of the whole training over those of this one, `test_ratio` the same for the
    rows of the test part.
    """

    spec: str | Method
    splits: Splits
    recipe: Recipe
    device: str
    epochs: int
    evaluations: int
    folds: bool
    together: int
    step_ratio: float
    test_ratio: float

    @classmethod
    def of(
        cls, method: Method, splits: Splits, recipe: Recipe, device: str, epochs: int, evaluations: int, *,
        folds: int = 0, alone: bool = False,
    ) -> ShortRun:  # fmt: skip
        """Take rows evenly from all, so that every class has its share.

        Args:
            method, splits, recipe, device, epochs, evaluations: of the whole training.
            folds: of its run; 0 without folds.
            alone: whether to train one fold by itself, though all go side by side.
        """
        size = STEPS * recipe.batch_size
        rows = max(size, ESTIMATOR_CELLS // len(splits.classes)) if is_estimator(method) else size
        short = _some_rows(splits, rows, size)
        step_ratio = len(splits.train) / len(short.train)
        if recipe.steps is not None and not is_estimator(method):
            steps = min(STEPS, recipe.steps)
            step_ratio, recipe = recipe.steps / steps, replace(recipe, steps=steps)
        length = method.long_enough(replace(recipe, epochs=min(epochs, recipe.epochs))).epochs
        return cls(
            method if method.given else method.spec,
            short, recipe, device, min(length, recipe.epochs), evaluations, folds > 0,
            folds if folds and is_small(splits.train) and not alone else 1,
            step_ratio, len(splits.test) / len(short.test),
        )  # fmt: skip


def _some_rows(splits: Splits, rows: int, size: int) -> Splits:
    """Return at most `rows` labelled training rows, and `size` rows of the other parts.

    Beside rows without labels every class has a labelled one, as whole data have: methods refuse others.
    """
    train, test = _even_rows(len(splits.train), rows), _even_rows(len(splits.test), size)
    unlabeled, truth = splits.unlabeled, splits.truth
    if unlabeled is not None:
        first = np.unique(splits.train.targets.cpu().numpy(), return_index=True)[1]
        train = torch.from_numpy(np.union1d(train.numpy(), first))
    rest = torch.arange(0) if unlabeled is None else _even_rows(len(unlabeled), size)
    return replace(
        splits, train=splits.train.take(train), test=splits.test.take(test), origin=None, test_rows=None,
        unlabeled=None if unlabeled is None else unlabeled.take(rest),
        truth=None if truth is None else truth[torch.cat([train, len(splits.train) + rest])],
    )  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Seconds of one run: `training` in its steps, `rest` in everything else; `fixed` is the part of `rest` spent once.

    `measured`: the seconds that the measurement took. `memory`, `gpu_memory`: peak bytes.
    """

    training: float
    rest: float
    fixed: float
    measured: float
    memory: int
    gpu_memory: int


def is_estimator(method: Method) -> bool:
    """Whether a method is an estimator of scikit-learn, whose only epoch is the whole fit, without steps or slots."""
    return not method.slots


def measure(short: ShortRun) -> Cost:
    """Train it in a temporary folder, measure time and memory, and scale both up to the whole training.

    Of trainings side by side each counts with its share.
    """
    threads, start = torch.get_num_threads(), time.perf_counter()
    epochs: list[tuple[Record, float]] = []
    try:
        with _unlogged(), _PeakMemory(short.device) as peak, tempfile.TemporaryDirectory(prefix="longtail-") as name:
            folder, recipe = Path(name), replace(short.recipe, epochs=short.epochs)
            fits = [
                Fit(
                    short.spec, short.splits, seed=seed, recipe=recipe, folder=folder / str(seed),
                    store=folder / "stages", device=short.device, threads=THREADS,
                )
                for seed in range(short.together)
            ]  # fmt: skip
            first, *others = (fit.events for fit in fits)
            side_by_side([_timed(first, epochs, short.together), *others])
            if short.folds:
                for fit in (fit for fit in fits if "model" not in fit.run.result):
                    own = short.recipe.own
                    _ = Run.load(fit.run.folder, None if own is None else own.factory).predictor  # as for every fold
    finally:
        torch.set_num_threads(threads)
    total = time.perf_counter() - start
    training, rest, fixed = _scaled(short, epochs, total / short.together)
    return Cost(training, rest + fixed, fixed, total, peak.process, peak.device_bytes)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Log no warnings of the package: those of so short a training are not those of the whole one."""
    log = logging.getLogger(__package__.partition(".")[0])
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _timed(events: Events, epochs: list[tuple[Record, float]], together: int) -> Events:
    """Add to `epochs` each record of one training, with its share of the seconds since the record before."""
    with contextlib.closing(events):
        last = time.perf_counter()
        for event in events:
            if isinstance(event, dict):
                now = time.perf_counter()
                epochs.append((event, (now - last) / together))
                last = now
            yield event


def _scaled(short: ShortRun, epochs: list[tuple[Record, float]], total: float) -> tuple[float, float, float]:
    """Return seconds of the whole training: in steps, in the rest of its epochs, and outside them.

    Args:
        short: the measured training.
        epochs: its epoch records, each with the seconds since the one before.
        total: seconds of the measurement, its share.
    """
    method = resolve(short.spec)
    training = rest = spent = 0.0
    for stage in method.stages(method.under(short.recipe)):
        split = [
            (r["seconds"], seconds - r["seconds"] - r.get("evaluation_seconds", 0.0))
            for r, seconds in epochs
            if r["stage"] == stage.name
        ]
        if split:
            steady = split[1:] or split  # the first epoch also builds and warms up
            steps, beside = (statistics.fmean(column) for column in zip(*steady, strict=True))
            training += stage.epochs * steps * short.step_ratio
            rest += stage.epochs * beside
            spent += len(split) * (steps + beside)
    evaluation = max((r.get("evaluation_seconds", 0.0) for r, _ in epochs), default=0.0)
    evaluations = 1 + min(short.evaluations, short.recipe.epochs)
    return training, rest, max(total - spent + evaluation * (short.test_ratio * evaluations - 2), 0.0)


def _even_rows(total: int, size: int) -> torch.Tensor:
    """Return the indices of at most `size` rows, evenly over all."""
    return torch.arange(total) if total <= size else torch.arange(size) * total // size


def data_bytes(splits: Splits) -> int:
    """Return the bytes of the inputs in memory; the rows of a map-style data set are not."""
    parts = (splits.train, splits.test, splits.val, splits.unlabeled)
    return sum(part.inputs.nbytes for part in parts if isinstance(part, Examples))


class _PeakMemory:
    """Measure the peak memory of this process, and of its part of the GPU, inside the `with` block."""

    process = 0
    device_bytes = 0

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._device = device

    def __enter__(self) -> _PeakMemory:
        if self._cuda:
            torch.zeros(1, device=self._device)  # initialise CUDA first
            torch.cuda.reset_peak_memory_stats(self._device)
        with contextlib.suppress(OSError):
            # have Linux reset the peak, which reading the data may have set
            Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(self, *error: object) -> None:
        self.process = peak_memory()
        if self._cuda:
            self.device_bytes = torch.cuda.max_memory_reserved(self._device)


def peak_memory() -> int:
    """Return the bytes of the peak resident set, since its last reset where the system can reset it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
