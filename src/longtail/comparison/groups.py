"""Which runs of a comparison a worker process trains side by side."""

from __future__ import annotations

from itertools import pairwise

from longtail.comparison.plan import Plan, Task
from longtail.runs.cross_validation import is_small

TOGETHER = 6
"""Runs side by side in one worker, at most; docs/decisions/0018 has the measurement."""


def groups_of(plan: Plan, tasks: list[Task], workers: int) -> list[list[Task]]:
    """Return the runs in groups that train side by side in one worker; the bytes of no result depend on them.

    Those of small trainings on rows of numbers, whose steps can be made at once, are in groups of up to `TOGETHER`, as
    many for every worker. By themselves are estimators, whose one step is the whole fit, runs on images, and runs of
    several folds, which go side by side within the run.
    """
    rows = plan.splits.train
    small = plan.folds is None and is_small(rows) and len(rows.input_shape) == 1
    grouped = [task for task in tasks if small and plan.method(task.spec).slots]
    count = -(-len(grouped) // TOGETHER)
    count = min(len(grouped), -(-count // workers) * workers)
    bounds = [i * len(grouped) // count for i in range(count + 1)] if count else []
    return [*(grouped[a:b] for a, b in pairwise(bounds)), *([task] for task in tasks if task not in grouped)]
