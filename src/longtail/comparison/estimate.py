"""Estimate the time and memory that a comparison needs, from short trainings in parallel."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Sequence
from typing import Any

from longtail.catalogue.method import Method
from longtail.catalogue.search import most_trainings
from longtail.comparison import execute
from longtail.comparison.audit import find_damaged
from longtail.comparison.costs import Cost, ShortRun, data_bytes, is_estimator, measure, peak_memory
from longtail.comparison.notes import notes
from longtail.comparison.plan import Plan, Task, plan
from longtail.comparison.preparation import Prepared
from longtail.data import Examples
from longtail.engine.admission import MOST
from longtail.facts import subprocesses
from longtail.methods import method
from longtail.report import recall_plot
from longtail.report.small_network import small_network
from longtail.runs.cross_validation import fold_folder

MEASURED_SECONDS = 0.3
"""Seconds that the epochs of a measured training should take, with MIN_EPOCHS to MAX_EPOCHS of them."""
MIN_EPOCHS, MAX_EPOCHS = 3, 12
SLOW = 2.0
"""Seconds of two short epochs beyond which a loss hardly matters: networks of the task cost what the reference does."""
FINAL_SECONDS = 2.0
"""Seconds for intervals, table and the end of the workers, measured on two cores; drawing is measured each time."""


def estimate(prepared: Prepared, jobs: int | None = None, evaluations: int = 1, before: float = 0.0) -> dict[str, Any]:
    """Return the plan in numbers, with time and memory estimated from short trainings; nothing is written.

    `memory` is the bytes of main memory of all parallel runs and the process that starts them, `gpu_memory` the bytes
    on the GPU (0 without one). On a GPU `jobs` is how many runs go at once at most; how many do is measured when they
    run, so `seconds` and `gpu_memory` are those of one at a time.

    Args:
        prepared: the comparison, or a plan such as that of a search.
        jobs, evaluations: as in `compare`.
        before: seconds spent so far on reading the data, which the comparison will spend again.
    """
    planned = prepared if isinstance(prepared, Plan) else plan(prepared)
    damaged = find_damaged(planned)
    waves = planned.waves(damaged)
    tasks = [task for wave in waves for task in wave]
    on_gpu = prepared.device != "cpu"
    at_once = min(jobs or (MOST if on_gpu else subprocesses.cores()), max(map(len, waves[:1]), default=1) or 1)
    workers = 1 if on_gpu else at_once
    trainer = planned.trainers()
    costs, start_up = _measure_costs(planned, tasks, trainer, workers, evaluations)
    folding, hashing = _data_seconds(prepared)
    remaining = {task: _remaining_trainings(task, prepared) for task in tasks}
    trains = {task: trainer[task.spec] == task.spec for task in tasks}
    searched = {
        m.spec: most_trainings(m.search, planned.recipe, planned.splits.train) for m in planned.methods
    }  # fmt: skip
    seconds = {
        task: remaining[task] * searched[task.spec]
        * (_length(task, planned) * costs[task.spec].training * trains[task] + costs[task.spec].rest + folding)
        for task in tasks
    }  # fmt: skip
    running = sum(_makespan([seconds[task] for task in wave], workers) for wave in waves)
    trainings = sum(remaining[task] * searched[task.spec] for task in tasks if trains[task])
    memory = max(c.memory for c in costs.values())
    if workers > 1:
        memory = peak_memory() + workers * (memory + data_bytes(prepared.splits))
    return {
        "data": prepared.splits.name,
        "task": prepared.task,
        "train": len(prepared.splits.train),
        "unlabeled": None if prepared.splits.unlabeled is None else len(prepared.splits.unlabeled),
        "test": len(prepared.splits.test),
        "classes": len(prepared.splits.classes),
        "folds": None if prepared.folds is None else prepared.folds.k,
        "methods": [m.spec for m in planned.methods],
        "notes": notes(planned),
        "small_network": small_network(prepared.splits.facts, prepared.recipe.to_json()),
        "seeds": len(planned.seeds),
        "runs": len(planned.tasks),
        "finished": sum(task.finished for task in planned.tasks) - len(damaged),
        "trainings": trainings,
        "sharing": sum(not trained for trained in trains.values()),
        "epochs": prepared.recipe.epochs,
        "jobs": at_once,
        "seconds": before + hashing + start_up * bool(tasks) + running + FINAL_SECONDS + _drawing_seconds(prepared),
        "seconds_per_training": sum(seconds[task] for task in tasks if trains[task]) / max(trainings, 1),
        "memory": memory,
        "gpu_memory": max(c.gpu_memory for c in costs.values()) + _gpu_data_bytes(prepared),
        "out": str(prepared.out),
    }


def _length(task: Task, planned: Plan) -> float:
    """Return the epochs of a run over those of the common recipe."""
    return task.under(planned.recipe).epochs / planned.recipe.epochs


def first_candidate(planned: Plan, spec: str) -> Method:
    """Return the method whose training is measured: itself, or the first that its search trains."""
    search = planned.method(spec).search
    if search is None:
        return planned.method(spec)
    return method(next(search.rounds(planned.recipe, planned.splits.train))[0].spec)


def _remaining_trainings(task: Task, prepared: Prepared) -> int:
    """Return the number of trainings that a run has to do: one, or one per unfinished fold."""
    if prepared.folds is None:
        return 1
    return sum(not (fold_folder(task.folder, j) / "run.json").exists() for j in range(prepared.folds.k))


def _measure_costs(
    planned: Plan, tasks: list[Task], trainer: dict[str, str], workers: int, evaluations: int
) -> tuple[dict[str, Cost], float]:
    """Return the cost of each method, and the seconds until the first run begins in its worker.

    As many trainings are measured at a time as runs will go in parallel, since they slow each other down.
    """

    def shortened(specs: Iterable[str], epochs: int, *, alone: bool = False) -> list[ShortRun]:
        shared = (planned.splits, planned.recipe, planned.device, epochs, evaluations)
        folds = 0 if planned.folds is None else planned.folds.k
        return [ShortRun.of(first_candidate(planned, spec), *shared, folds=folds, alone=alone) for spec in specs]

    # the common training: a network, if there is one
    common = next((m.spec for m in planned.methods if not is_estimator(m)), planned.reference)
    start = time.perf_counter()
    cold = _measure_parallel(shortened([common] * workers, 2, alone=True), workers)
    start_up = max(0.0, time.perf_counter() - start - max(c.measured for c in cold))
    slow = cold[0].measured - cold[0].fixed > SLOW
    epoch = (cold[0].training + cold[0].rest) / max(planned.recipe.epochs, 1)
    epochs = 2 if slow else min(MAX_EPOCHS, max(MIN_EPOCHS, int(MEASURED_SECONDS / max(epoch, 1e-3))))
    training = {common} | {trainer[task.spec] for task in tasks}
    task = planned.method(common).task
    specs = [
        m.spec for m in planned.methods if m.spec in training and not (slow and m.task == task and not is_estimator(m))
    ]
    company = [common] * (workers - 1)  # so that none is measured while other workers are idle
    measured = _measure_parallel(shortened([*specs, *company], epochs), workers) if specs else []
    warm = dict(zip(specs, measured, strict=False))
    reference = warm.get(common, cold[0])
    costs = {m.spec: warm.get(trainer[m.spec], reference) for m in planned.methods}
    return costs, start_up + max(0.0, cold[0].fixed - reference.fixed)


def _measure_parallel(shortened: list[ShortRun], workers: int) -> list[Cost]:
    if workers == 1:
        return [measure(short) for short in shortened]
    from joblib import delayed

    parallel = subprocesses.pool(workers, execute.__name__, return_as="list", batch_size=1)
    costs: list[Cost] = parallel(delayed(measure)(short) for short in shortened)
    return costs


def _makespan(seconds: Sequence[float], workers: int) -> float:
    """Return when the last run ends, where each worker takes the next one as soon as it is free."""
    free_at = [0.0] * workers
    for run in seconds:
        heapq.heapreplace(free_at, free_at[0] + run)
    return max(free_at)


def _data_seconds(prepared: Prepared) -> tuple[float, float]:
    """Return the seconds to make and hash one fold, which each run does, and to hash the data, which is done once."""
    start = time.perf_counter()
    _ = (prepared.folds or prepared.splits).hash
    hashed = time.perf_counter()
    if prepared.folds is None:
        return 0.0, hashed - start
    _ = prepared.folds.splits(0, prepared.folds.k - 1).hash
    return time.perf_counter() - hashed, hashed - start


def _drawing_seconds(prepared: Prepared) -> float:
    """Return the seconds to draw recall.svg, importing matplotlib included, with made-up recalls of two methods."""
    start, size = time.perf_counter(), len(prepared.splits.classes)
    data = {"classes": list(prepared.splits.classes), "class_counts": prepared.splits.class_counts.tolist(),
            "test_counts": prepared.splits.test_counts.tolist()}  # fmt: skip
    rows = [
        {"method": name, "recall": [1.0] * size, "recall_interval": [[0.5, 1.0]] * size} for name in ("first", "best")
    ]
    recall_plot.svg({"data": data, "rows": rows, "reference": "first", "gain": {"method": "best"}})
    return time.perf_counter() - start


def _gpu_data_bytes(prepared: Prepared) -> int:
    """Return the bytes of the training rows on the GPU; the rows of a map-style data set stay off it."""
    parts = (prepared.splits.train, prepared.splits.unlabeled)
    return 0 if prepared.device == "cpu" else sum(part.inputs.nbytes for part in parts if isinstance(part, Examples))
