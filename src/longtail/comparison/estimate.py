"""How long a comparison will take and how much memory it needs, from short trainings side by side."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Sequence
from typing import Any

from longtail.comparison.audit import audit
from longtail.comparison.comparison import Prepared
from longtail.comparison.costs import Cost, Short, cost, data_bytes, fits, high_water
from longtail.comparison.plan import Plan, Task, plan
from longtail.data import Examples
from longtail.engine.machine import cores
from longtail.report import recall_plot
from longtail.runs.cross_validation import fold_folder

AIM = 0.3
"""Seconds that a measured training should take in epochs, in FEWEST to MOST of them."""
FEWEST, MOST = 3, 12
SLOW = 2.0
"""Seconds of two short epochs from which a loss makes no difference: the reference stands for networks of its task."""
ENDING = 2.0
"""Seconds that intervals, table and the end of the workers take, measured on two cores; drawing is measured."""


def estimate(
    prepared: Prepared, seeds: int, metric: str, jobs: int | None = None, evaluations: int = 1, before: float = 0.0
) -> dict[str, Any]:
    """The plan in numbers, its time and memory from short trainings of its methods; nothing of them stays.

    `memory` are bytes of main memory for all runs that stand side by side and the process that starts them,
    `gpu_memory` those on the GPU (0 without one). `before` are the seconds that it took to get here, which the
    command itself takes again.
    """
    found = plan(
        prepared.splits, prepared.methods, seeds, prepared.recipe, metric, prepared.out, prepared.device,
        prepared.folds, prepared.task,
    )  # fmt: skip
    again = audit(found)
    waves = found.waves(again)
    tasks = [task for wave in waves for task in wave]
    side_by_side = min(jobs or (cores() if prepared.device == "cpu" else 1), max(map(len, waves[:1]), default=1) or 1)
    trainer = found.trainers()
    costs, start_up = _measured(prepared, found, tasks, trainer, side_by_side, evaluations)
    folding, hashing = _reading(prepared)
    left = {task: _left(task, prepared) for task in tasks}
    trains = {task: trainer[task.spec] == task.spec for task in tasks}
    each = {
        task: left[task] * (costs[task.spec].training * trains[task] + costs[task.spec].rest + folding)
        for task in tasks
    }  # fmt: skip
    running = sum(_makespan([each[task] for task in wave], side_by_side) for wave in waves)
    trainings = sum(left[task] for task in tasks if trains[task])
    memory = max(c.memory for c in costs.values())
    if side_by_side > 1:
        memory = high_water() + side_by_side * (memory + data_bytes(prepared.splits))
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
        "epochs": prepared.recipe.epochs,
        "jobs": side_by_side,
        "seconds": before + hashing + start_up * bool(tasks) + running + ENDING + _drawing(prepared),
        "seconds_per_training": sum(each[task] for task in tasks if trains[task]) / max(trainings, 1),
        "memory": memory,
        "gpu_memory": (max(c.on_gpu for c in costs.values()) + _resident(prepared)) * side_by_side,
        "out": str(prepared.out),
    }


def _left(task: Task, prepared: Prepared) -> int:
    """Trainings of a run that have not ended: one, or a fold each."""
    if prepared.folds is None:
        return 1
    return sum(not (fold_folder(task.folder, j) / "run.json").exists() for j in range(prepared.folds.k))


def _measured(
    prepared: Prepared, found: Plan, tasks: list[Task], owner: dict[str, str], side: int, evaluations: int
) -> tuple[dict[str, Cost], float]:
    """What each method costs, and the seconds until the first run begins in its worker.

    As many are measured at a time as runs will stand side by side, in such workers, since they slow each other down.
    """

    def shorts(specs: Iterable[str], epochs: int) -> list[Short]:
        known = {m.spec: m for m in found.methods}
        data, how = prepared.splits, (prepared.recipe, prepared.device, epochs, evaluations)
        return [Short.of(known[spec], data, *how, folds=prepared.folds is not None) for spec in specs]

    start = time.perf_counter()
    cold = _side_by_side(shorts([found.reference] * side, 2), side)
    start_up = max(0.0, time.perf_counter() - start - max(c.measured for c in cold))
    slow = cold[0].measured - cold[0].fixed > SLOW
    epochs = 2 if slow else min(MOST, max(FEWEST, int(AIM / max(_epoch(cold[0], prepared), 1e-3))))
    wanted = {found.reference} | {owner[task.spec] for task in tasks}
    task = next(m.task for m in found.methods if m.spec == found.reference)
    asked = [m.spec for m in found.methods if m.spec in wanted and not (slow and m.task == task and not fits(m))]
    company = [found.reference] * (side - 1)  # so that none of them is the last and measured alone
    warm = dict(zip(asked, _side_by_side(shorts([*asked, *company], epochs), side), strict=False)) if asked else {}
    reference = warm.get(found.reference, cold[0])
    costs = {m.spec: warm.get(owner[m.spec], reference) for m in found.methods}
    return costs, start_up + max(0.0, cold[0].fixed - reference.fixed)


def _epoch(found: Cost, prepared: Prepared) -> float:
    return (found.training + found.rest) / max(prepared.recipe.epochs, 1)


def _side_by_side(shorts: list[Short], jobs: int) -> list[Cost]:
    if jobs == 1:
        return [cost(short) for short in shorts]
    from joblib import Parallel, delayed

    found: list[Cost] = Parallel(n_jobs=jobs, backend="loky", batch_size=1)(delayed(cost)(short) for short in shorts)
    return found


def _makespan(seconds: Sequence[float], workers: int) -> float:
    """When the last run ends, where each worker takes the next one as soon as it is free."""
    free = [0.0] * workers
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def _reading(prepared: Prepared) -> tuple[float, float]:
    """Seconds to make and hash the parts of one fold, which each run does, and to hash the data, which is done once."""
    start = time.perf_counter()
    _ = (prepared.folds or prepared.splits).hash
    hashed = time.perf_counter()
    if prepared.folds is None:
        return 0.0, hashed - start
    _ = prepared.folds.splits(0, prepared.folds.k - 1).hash
    return time.perf_counter() - hashed, hashed - start


def _drawing(prepared: Prepared) -> float:
    """Seconds that recall.svg takes, loading matplotlib included: two methods that are right every time."""
    start, size = time.perf_counter(), len(prepared.splits.classes)
    data = {"classes": list(prepared.splits.classes), "class_counts": prepared.splits.class_counts.tolist(),
            "test_counts": prepared.splits.test_counts.tolist()}  # fmt: skip
    rows = [
        {"method": name, "recall": [1.0] * size, "recall_interval": [[0.5, 1.0]] * size} for name in ("first", "best")
    ]
    recall_plot.svg({"data": data, "rows": rows, "reference": "first", "gain": {"method": "best"}})
    return time.perf_counter() - start


def _resident(prepared: Prepared) -> int:
    """Bytes of the training rows that live on the GPU; rows behind a map-style data set do not."""
    parts = (prepared.splits.train, prepared.splits.unlabeled)
    return 0 if prepared.device == "cpu" else sum(part.inputs.nbytes for part in parts if isinstance(part, Examples))
