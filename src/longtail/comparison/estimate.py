"""How long a comparison will take and how much memory it needs, from a short measurement."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from longtail.comparison.audit import audit
from longtail.comparison.comparison import Prepared
from longtail.comparison.execute import THREADS
from longtail.comparison.plan import Task, plan
from longtail.data import Examples
from longtail.engine.machine import cores
from longtail.engine.predictor import EVALUATED
from longtail.methods.folds import fold_folder
from longtail.methods.train import Fit
from longtail.models.fused import fused

START_UP = 4.0
"""Seconds until the first worker trains: measured on two cores, most of it importing torch."""
STEPS = 12
"""Steps that are measured of each of two epochs, and as many batches of the test part."""


def estimate(
    prepared: Prepared, seeds: int, metric: str, jobs: int | None = None, evaluations: int = 1
) -> dict[str, Any]:
    """The plan in numbers, its time and memory from some steps of ce; writes nothing.

    `memory` are bytes of main memory for all runs that stand side by side and the process that starts them,
    `gpu_memory` those on the GPU (0 without one).
    """
    found = plan(
        prepared.splits, prepared.methods, seeds, prepared.recipe, metric, prepared.out, prepared.device, prepared.folds
    )  # fmt: skip
    again = audit(found)
    wave = found.waves(again)[0]
    trainings = len(wave) if prepared.folds is None else sum(_folds_left(task, prepared.folds.k) for task in wave)
    side_by_side = min(jobs or (cores() if prepared.device == "cpu" else 1), max(len(wave), 1))
    epoch, looking, memory, on_gpu = measured(prepared)
    epochs = prepared.recipe.epochs
    once = epoch * epochs + looking * (1 + min(evaluations, epochs))
    return {
        "data": prepared.splits.name,
        "train": len(prepared.splits.train),
        "test": len(prepared.splits.test),
        "classes": len(prepared.splits.classes),
        "folds": None if prepared.folds is None else prepared.folds.k,
        "methods": [m.spec for m in found.methods],
        "seeds": len(found.seeds),
        "runs": len(found.tasks),
        "finished": sum(task.finished for task in found.tasks) - len(again),
        "trainings": trainings,
        "epochs": epochs,
        "jobs": side_by_side,
        "seconds": START_UP + once * trainings / side_by_side,
        "seconds_per_training": once,
        "memory": memory * (1 if side_by_side == 1 else 1 + side_by_side),
        "gpu_memory": on_gpu * side_by_side,
        "out": str(prepared.out),
    }


def _folds_left(task: Task, k: int) -> int:
    """Folds of a run that have not been trained yet."""
    return sum(not (fold_folder(task.folder, j) / "run.json").exists() for j in range(k))


def measured(prepared: Prepared) -> tuple[float, float, int, int]:
    """Seconds of an epoch of ce and of one look at the test part, bytes of this process and on its GPU."""
    splits, size = prepared.splits, STEPS * prepared.recipe.batch_size
    short = replace(splits, train=splits.train.take(_spread(len(splits.train), size)))
    test = splits.test.take(_spread(len(splits.test), size))
    before = torch.get_num_threads()
    with _PeakMemory(prepared.device) as peak:
        fit = Fit("ce", short, recipe=prepared.recipe, device=prepared.device, threads=THREADS)
        try:
            # the second epoch: the first one also warms up
            seconds = [next(fit)["seconds"] for _ in range(min(2, prepared.recipe.epochs))][-1]
            fit.learner.train(False)
            start = time.perf_counter()
            with fused(fit.learner) if isinstance(fit.learner, torch.nn.Module) else contextlib.nullcontext():
                for part in test.chunks(EVALUATED):
                    fit.learner.predict(part.to(prepared.device)).cpu()  # waits for the device
            looking = time.perf_counter() - start
        finally:
            torch.set_num_threads(before)
    return (
        seconds * len(splits.train) / len(short.train),
        looking * len(splits.test) / len(test),
        peak.process,
        peak.device_bytes + _resident(prepared),
    )


def _resident(prepared: Prepared) -> int:
    """Bytes of the training part that live on the GPU; rows behind a map-style data set do not."""
    train = prepared.splits.train
    return train.inputs.nbytes if prepared.device != "cpu" and isinstance(train, Examples) else 0


def _spread(total: int, size: int) -> torch.Tensor:
    """At most `size` rows, evenly over all, so that every class has its share."""
    return torch.arange(total) if total <= size else torch.arange(size) * total // size


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
        self.process = _high_water()
        if self._cuda:
            self.device_bytes = torch.cuda.max_memory_reserved(self._device)


def _high_water() -> int:
    """Bytes of the peak resident set, since the peak was last forgotten where the system can."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
