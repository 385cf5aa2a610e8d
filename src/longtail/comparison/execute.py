"""Run a plan: methods x seeds side by side, without oversubscribing the cores."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from longtail.comparison.plan import Plan, Task
from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.facts import subprocesses
from longtail.facts.messages import quoted
from longtail.runs.cross_validation import train_folds
from longtail.runs.run import ForeignError
from longtail.runs.train import train

log = logging.getLogger(__name__)

THREADS = 1
"""CPU threads of one run. Runs go in parallel instead, and results do not depend on their number."""
MOST_JOBS = 1024
"""A process each, of several hundred megabytes."""


class OutputError(OSError):
    """The output folder can no longer be written: disk full, removed, read-only."""


@dataclass(frozen=True)
class TaskResult:
    """How one run ended: `error` is None where it finished.

    `output`: the folder cannot be written; `foreign`: it belongs to another configuration.
    """

    task: Task
    seconds: float
    error: str | None = None
    output: bool = False
    foreign: bool = False


OnPlan = Callable[[Plan], None]
OnBegin = Callable[[Task], None]
OnResult = Callable[[TaskResult], None]


class RunOptions(TypedDict, total=False):
    """The keyword arguments of `execute`."""

    jobs: int | None
    budget: float | None
    evaluations: int
    on_plan: OnPlan | None
    on_begin: OnBegin | None
    on_result: OnResult | None


def execute(
    plan: Plan,
    *,
    jobs: int | None = None,
    budget: float | None = None,
    evaluations: int = 1,
    on_plan: OnPlan | None = None,
    on_begin: OnBegin | None = None,
    on_result: OnResult | None = None,
) -> list[TaskResult]:
    """Run what is not finished; a run that fails is reported and the others go on.

    Args:
        plan: what to run.
        jobs: number of runs at a time; by default one per core, or one on a GPU.
        budget: seconds after which no further run begins (the same command later runs what is missing).
        evaluations: number of evaluations on the test part during a training, for the record; they decide nothing.
        on_plan: called before the first run.
        on_begin: called when a run is handed to a worker, perhaps from another thread.
        on_result: called after every run.

    Raises:
        OutputError: the output folder can no longer be written; finished runs are kept.
        ForeignError: the folder of a run belongs to another configuration.
    """
    check_limits(jobs, budget, evaluations)
    deadline = None if budget is None else time.monotonic() + budget
    results: list[TaskResult] = []
    if on_plan is not None:
        on_plan(plan)
    for wave in plan.waves():
        workers = min(jobs or default_jobs(plan.device), max(len(wave), 1))
        for result in _run_parallel(plan, workers, _before_deadline(wave, deadline, on_begin), evaluations):
            if result.output:
                raise OutputError(f"{result.error}; finished runs are kept, make room and run the same command again")
            if result.foreign:
                raise ForeignError(result.error)
            results.append(result)
            if on_result is not None:
                on_result(result)
    return results


def default_jobs(device: str) -> int:
    """Return one run per core, or one on a GPU."""
    return subprocesses.cores() if device == "cpu" else 1


def check_limits(jobs: int | None, budget: float | None, evaluations: int = 1) -> None:
    """Raise ValueError where jobs or budget allow no run, or evaluations leave out the last epoch."""
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise ValueError(f"jobs must be an integer >= 1, got {quoted(jobs)}; leave it out for one per core")
    if jobs is not None and jobs > MOST_JOBS:
        raise ValueError(f"jobs must be at most {MOST_JOBS}, got {quoted(jobs)}; leave it out for one per core")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0):
        raise ValueError(f"budget must be > 0 seconds, got {quoted(budget)}; leave it out for no limit")
    if isinstance(evaluations, bool) or not isinstance(evaluations, int) or evaluations < 1:
        raise ValueError(
            f"evaluations must be an integer >= 1, got {quoted(evaluations)}; 1 evaluates the last epoch only"
        )


def _run_parallel(plan: Plan, jobs: int, pending: Iterator[Task], evaluations: int) -> Iterator[TaskResult]:
    arguments = (plan.data, plan.recipe, plan.store, plan.device, evaluations)
    if jobs > 1 and (what := _unpicklable(plan)) is not None:
        log.warning("%s; one run at a time, in this process", what)
        jobs = 1
    if jobs == 1:
        for task in pending:
            yield run_task(task, *arguments)
        return
    from joblib import delayed

    with subprocesses.safe_path():  # to the end: a lost worker is replaced at any time
        # the deadline is checked when a worker is free
        yield from subprocesses.pool(jobs, __name__)(delayed(run_task)(task, *arguments) for task in pending)


def _unpicklable(plan: Plan) -> str | None:
    """Return why code of the user's cannot be sent to worker processes, or None where it can."""
    from joblib.externals.loky.backend import reduction  # its pickler is the one that workers use

    rows = plan.folds.pool.rows if plan.folds is not None else plan.splits.train
    own = plan.recipe.own
    parts = {"network": None if own is None else own.factory, "data": getattr(rows, "dataset", None)}
    for name, part in parts.items():
        try:
            reduction.dumps(part)
        except Exception as error:  # whatever the objects in it raise
            return f"{name} cannot be pickled for worker processes ({' '.join(str(error).split())[:160]})"
    return None


def _before_deadline(tasks: Iterable[Task], deadline: float | None, on_begin: OnBegin | None) -> Iterator[Task]:
    for task in tasks:
        if deadline is not None and time.monotonic() >= deadline:
            return
        if on_begin is not None:
            on_begin(task)
        yield task


def run_task(
    task: Task, data: Splits | Folds, recipe: Recipe, store: Path, device: str, evaluations: int = 1
) -> TaskResult:
    """Train one run, on every fold where there are any; return a failure as its result, so that the others go on."""
    start = time.perf_counter()

    def result(**ending: Any) -> TaskResult:
        return TaskResult(task, time.perf_counter() - start, **ending)

    try:
        options: dict[str, Any] = {
            "folder": task.folder, "seed": task.seed, "recipe": recipe, "store": store, "device": device,
            "threads": THREADS, "evaluations": evaluations,
        }  # fmt: skip
        if isinstance(data, Folds):
            train_folds(task.spec, data, **options)
        else:
            train(task.spec, data, **options)
    except OSError as error:
        where = error.filename or task.folder
        return result(error=f"cannot write {where} ({error.strerror or error})", output=True)
    except ForeignError as error:
        return result(error=str(error), foreign=True)
    except Exception as error:
        # no failure of one method may end the others; the exception's type helps to find the cause
        message = str(error).splitlines()[0] if str(error) else ""
        return result(error=f"{type(error).__name__}: {message}")
    return result()
