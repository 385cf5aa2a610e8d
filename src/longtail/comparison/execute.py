"""Run a plan: methods x seeds side by side, without oversubscribing the cores."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from longtail.comparison.groups import groups_of
from longtail.comparison.plan import Plan, Task
from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.engine.admission import Admission
from longtail.engine.lanes import Cpu, Device, device_of
from longtail.engine.selection import LAST
from longtail.engine.side_by_side import endings
from longtail.engine.works import Pending, Work
from longtail.facts import subprocesses
from longtail.facts.messages import quoted
from longtail.runs.cross_validation import fold_trainings
from longtail.runs.run import ForeignError
from longtail.runs.trackers import Tracker, prepare
from longtail.runs.train import Fit

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


Groups = Iterable[list[Task]]
Shared = tuple[Splits | Folds, Recipe, Path, str, int, str, Tracker | None]
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
    tracker: Tracker | None


def execute(
    plan: Plan,
    *,
    jobs: int | None = None,
    budget: float | None = None,
    evaluations: int = 1,
    on_plan: OnPlan | None = None,
    on_begin: OnBegin | None = None,
    on_result: OnResult | None = None,
    tracker: Tracker | None = None,
) -> list[TaskResult]:
    """Run what is not finished; a run that fails is reported and the others go on.

    Args:
        plan: what to run.
        jobs: number of runs at a time on a GPU, at most (by default as many as it is measured to be faster with); of
            worker processes on a CPU (by default one per core), of which each may train several small runs at once.
        budget: seconds after which no further run begins (the same command later runs what is missing).
        evaluations: number of evaluations on the test part during a training, for the record; they decide nothing.
        on_plan: called before the first run.
        on_begin: called when a run is handed to a worker, perhaps from another thread.
        on_result: called after every run.
        tracker: gets the epochs and scores of every run.

    Raises:
        OutputError: the output folder can no longer be written; finished runs are kept.
        ForeignError: the folder of a run belongs to another configuration.
    """
    check_limits(jobs, budget, evaluations)
    deadline = None if budget is None else time.monotonic() + budget
    results: list[TaskResult] = []
    if on_plan is not None:
        on_plan(plan)
    device = device_of(plan.device)
    admission = device.admission(jobs)
    shared = _shared(plan, evaluations, tracker)
    begun = partial(_before_deadline, deadline=deadline, on_begin=on_begin)
    for wave in plan.waves():
        if device.takes_processes:
            ended = _run_in_workers(plan, wave, begun, jobs or subprocesses.cores(), shared, grouped=budget is None)
        else:
            tasks = (task for (task,) in begun([task] for task in wave))
            ended = run_tasks(tasks, *shared, device, admission)
        for result in ended:
            if result.output:
                raise OutputError(f"{result.error}; finished runs are kept, make room and run the same command again")
            if result.foreign:
                raise ForeignError(result.error)
            results.append(result)
            if on_result is not None:
                on_result(result)
    return results


def _shared(plan: Plan, evaluations: int, tracker: Tracker | None) -> Shared:
    """The arguments that all runs share."""
    placed = None if tracker is None else tracker.below(plan.out)
    if placed is not None:
        prepare(placed, plan.data.name)
    return plan.data, plan.recipe, plan.store, plan.device, evaluations, plan.select, placed


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


def _run_in_workers(
    plan: Plan, wave: list[Task], begun: Callable[[Groups], Groups], jobs: int, shared: Shared, *, grouped: bool
) -> Iterator[TaskResult]:
    """Run a wave in worker processes; with `grouped`, small runs side by side in each of them."""
    workers = min(jobs, max(len(wave), 1))
    if workers > 1 and (what := _unpicklable(plan)) is not None:
        log.warning("%s; all runs in this process", what)
        workers = 1
    groups = begun(groups_of(plan, wave, workers) if grouped else [[task] for task in wave])
    if workers == 1:
        for group in groups:
            yield from run_tasks(group, *shared)
        return
    from joblib import delayed

    with subprocesses.safe_path():  # to the end: a lost worker is replaced at any time
        # the deadline is checked when a worker is free
        for results in subprocesses.pool(workers, __name__)(delayed(_run_group)(group, *shared) for group in groups):
            yield from results


def _unpicklable(plan: Plan) -> str | None:
    """Return why code of the user's cannot be sent to worker processes, or None where it can."""
    from joblib.externals.loky.backend import reduction  # its pickler is the one that workers use

    rows = plan.folds.pool.rows if plan.folds is not None else plan.splits.train
    own = plan.recipe.own
    parts: dict[str, Any] = {f"classifier {m.given.name}": m.given for m in plan.methods if m.given is not None}
    parts |= {"network": None if own is None else own.factory, "data": getattr(rows, "dataset", None)}
    for name, part in parts.items():
        try:
            reduction.dumps(part)
        except Exception as error:  # whatever the objects in it raise
            return f"{name} cannot be pickled for worker processes ({' '.join(str(error).split())[:160]})"
    return None


def _before_deadline(groups: Groups, deadline: float | None, on_begin: OnBegin | None) -> Groups:
    for group in groups:
        if deadline is not None and time.monotonic() >= deadline:
            return
        for task in group:
            if on_begin is not None:
                on_begin(task)
        yield group


def _run_group(*arguments: Any) -> list[TaskResult]:
    return list(run_tasks(*arguments))


def run_tasks(
    tasks: Iterable[Task],
    data: Splits | Folds,
    recipe: Recipe,
    store: Path,
    device: str = "cpu",
    evaluations: int = 1,
    select: str = LAST,
    tracker: Tracker | None = None,
    place: Device | None = None,
    admission: Admission | None = None,
) -> Iterator[TaskResult]:
    """Make runs side by side in this process; yield a failure as its result, so that the others go on.

    Args:
        tasks: a run is taken from it when it may begin.
        data, recipe, store, device, evaluations, select, tracker: of all runs; each changes the recipe itself.
        place: the device as `engine.lanes` has it.
        admission: how many run at once; by default all.
    """

    def trainings(task: Task) -> Work:
        options: dict[str, Any] = {
            "folder": task.folder, "seed": task.seed, "recipe": task.under(recipe), "store": store, "device": device,
            "threads": THREADS, "evaluations": evaluations, "select": select, "tracker": tracker,
        }  # fmt: skip
        if isinstance(data, Folds):
            yield from fold_trainings(task.given or task.spec, data, **options)
        else:
            yield [Fit(task.given or task.spec, data, **options).events]

    pending = (Pending(task, partial(trainings, task)) for task in tasks)
    for ending in endings(pending, place or Cpu(), admission):
        yield TaskResult(ending.key, ending.seconds, **_failure(ending.key, ending.error))


def _failure(task: Task, error: Exception | None) -> dict[str, Any]:
    """Return what a result says of an error."""
    if error is None:
        return {}
    if isinstance(error, OSError):
        where = error.filename or task.folder
        return {"error": f"cannot write {where} ({error.strerror or error})", "output": True}
    if isinstance(error, ForeignError):
        return {"error": str(error), "foreign": True}
    # no failure of one method may end the others; the exception's type helps to find the cause
    message = str(error).splitlines()[0] if str(error) else ""
    return {"error": f"{type(error).__name__}: {message}"}
