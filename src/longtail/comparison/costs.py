"""What a run will cost: a shortened training, measured from its first step to its last file, and scaled up."""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from longtail.catalogue.method import Method
from longtail.catalogue.tasks import TASKS
from longtail.comparison.execute import THREADS
from longtail.data import Examples, Splits
from longtail.engine import Recipe
from longtail.facts.types import Record
from longtail.methods import method as resolve
from longtail.runs.run import Run
from longtail.runs.train import Fit

STEPS = 8
"""Steps of an epoch that is measured, and as many batches of the test part."""
FITTED = 200_000
"""Rows times classes from which an estimator of scikit-learn is fitted on some of its rows only."""


@dataclass(frozen=True)
class Short:
    """A training that is small enough to be measured, and how much larger the one is that it stands for.

    `larger` is how many times as many steps its epochs have, `longer` how many times as many rows its test part.
    """

    spec: str
    splits: Splits
    recipe: Recipe
    device: str
    epochs: int
    evaluations: int
    folds: bool
    larger: float
    longer: float

    @classmethod
    def of(
        cls, method: Method, splits: Splits, recipe: Recipe, device: str, epochs: int, evaluations: int, *, folds: bool
    ) -> Short:
        """Rows evenly over all, so that every class has its share."""
        size = STEPS * recipe.batch_size
        rows = max(size, FITTED // len(splits.classes)) if fits(method) else size
        # what leads back to a source plays no part
        rest = None if splits.unlabeled is None else splits.unlabeled.take(_spread(len(splits.unlabeled), size))
        short = replace(
            splits, train=splits.train.take(_spread(len(splits.train), rows)), unlabeled=rest,
            test=splits.test.take(_spread(len(splits.test), size)), origin=None, test_rows=None,
        )  # fmt: skip
        larger = len(splits.train) / len(short.train)
        if rest is not None and splits.unlabeled is not None and TASKS[method.task].unlabeled:
            # an epoch may be a pass over these rows as well as over the labelled ones
            larger = max(larger, len(splits.unlabeled) / len(rest))
        return cls(
            method.spec, short, recipe, device, min(epochs, recipe.epochs), evaluations, folds,
            larger, len(splits.test) / len(short.test),
        )  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Seconds of one training: `training` are those of its steps, `rest` those of everything that each run does.

    Of the rest `fixed` are once and not with every epoch. `measured` are the seconds that finding out took, `memory`
    and `on_gpu` bytes at most.
    """

    training: float
    rest: float
    fixed: float
    measured: float
    memory: int
    on_gpu: int


def fits(method: Method) -> bool:
    """Whether a method is an estimator, whose only epoch is the whole fit: it has no steps that could be varied."""
    return not method.slots


def cost(short: Short) -> Cost:
    """Train it into a folder that goes away, and scale up what took how long."""
    before, start = torch.get_num_threads(), time.perf_counter()
    walls: list[tuple[Record, float]] = []
    try:
        with _PeakMemory(short.device) as peak, tempfile.TemporaryDirectory(prefix="longtail-") as folder:
            place = Path(folder) / "run"
            last = time.perf_counter()
            for record in Fit(
                short.spec, short.splits, recipe=replace(short.recipe, epochs=short.epochs), folder=place,
                store=Path(folder) / "stages", device=short.device, threads=THREADS,
            ):  # fmt: skip
                now = time.perf_counter()
                walls.append((record, now - last))
                last = now
            if short.folds:
                _ = Run.load(place).predictor  # as pooling does with every fold's
    finally:
        torch.set_num_threads(before)
    total = time.perf_counter() - start
    training, rest, fixed = _scaled(short, walls, total)
    return Cost(training, rest + fixed, fixed, total, peak.process, peak.device_bytes)


def _scaled(short: Short, walls: list[tuple[Record, float]], total: float) -> tuple[float, float, float]:
    """Of the training that is stood for: seconds of steps, of what is beside them in each epoch, of what comes once."""
    method = resolve(short.spec)
    training = rest = spent = 0.0
    for stage in method.stages(method.under(short.recipe)):
        mine = [
            (r["seconds"], wall - r["seconds"] - r.get("evaluation_seconds", 0.0))
            for r, wall in walls
            if r["stage"] == stage.name
        ]
        if mine:
            steady = mine[1:] or mine  # the first one also builds and warms up
            steps, beside = (statistics.fmean(column) for column in zip(*steady, strict=True))
            training += stage.epochs * steps * short.larger
            rest += stage.epochs * beside
            spent += len(mine) * (steps + beside)
    look = max((r.get("evaluation_seconds", 0.0) for r, _ in walls), default=0.0)
    looks = min(short.evaluations, short.recipe.epochs)
    return training, rest, max(total - spent + look * (short.longer * (looks + 1) - 2), 0.0)


def _spread(total: int, size: int) -> torch.Tensor:
    """At most `size` rows, evenly over all."""
    return torch.arange(total) if total <= size else torch.arange(size) * total // size


def data_bytes(splits: Splits) -> int:
    """Bytes of the inputs that live in memory; rows behind a map-style data set do not."""
    parts = (splits.train, splits.test, splits.val, splits.unlabeled)
    return sum(part.inputs.nbytes for part in parts if isinstance(part, Examples))


class _PeakMemory:
    """The most memory that this process and its part of the GPU held between entering and leaving."""

    process = 0
    device_bytes = 0

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._device = device

    def __enter__(self) -> _PeakMemory:
        if self._cuda:
            torch.zeros(1, device=self._device)  # CUDA is begun before it can count
            torch.cuda.reset_peak_memory_stats(self._device)
        with contextlib.suppress(OSError):
            # Linux forgets the peak so far, which reading the data may have set
            Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(self, *error: object) -> None:
        self.process = high_water()
        if self._cuda:
            self.device_bytes = torch.cuda.max_memory_reserved(self._device)


def high_water() -> int:
    """Bytes of the peak resident set, since the peak was last forgotten where the system can."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
