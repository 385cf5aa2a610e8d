"""How long a comparison will take, from a short measurement."""

from __future__ import annotations

from typing import Any

import torch

from longtail.comparison.comparison import Prepared
from longtail.comparison.execute import THREADS, cores
from longtail.comparison.plan import plan
from longtail.methods.train import Fit

START_UP = 4.0
"""Seconds until the first worker trains: measured on two cores, most of it importing torch."""


def estimate(prepared: Prepared, seeds: int, metric: str, jobs: int | None = None) -> dict[str, Any]:
    """The plan in numbers, its time extrapolated from two epochs of ce; writes nothing."""
    found = plan(
        prepared.splits, prepared.methods, seeds, prepared.recipe, metric, prepared.out, prepared.device
    )  # fmt: skip
    trainings = len(found.waves()[0])
    side_by_side = min(jobs or cores(), max(trainings, 1)) if prepared.device == "cpu" else jobs or 1
    before = torch.get_num_threads()
    measured = Fit("ce", prepared.splits, recipe=prepared.recipe, device=prepared.device, threads=THREADS)
    try:
        seconds = [next(measured)["seconds"] for _ in range(min(2, prepared.recipe.epochs))][-1]
    finally:
        torch.set_num_threads(before)
    return {
        "data": prepared.splits.name,
        "train": len(prepared.splits.train),
        "test": len(prepared.splits.test),
        "classes": len(prepared.splits.classes),
        "methods": [m.spec for m in found.methods],
        "seeds": len(found.seeds),
        "runs": len(found.tasks),
        "finished": sum(task.finished for task in found.tasks),
        "trainings": trainings,
        "epochs": prepared.recipe.epochs,
        "jobs": side_by_side,
        "seconds": START_UP + seconds * prepared.recipe.epochs * trainings / side_by_side,
        "out": str(prepared.out),
    }
