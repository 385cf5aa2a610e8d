"""Check finished runs of an output folder before anything runs: find the damaged ones and have them run again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from longtail.comparison.plan import Plan, Task
from longtail.facts.json_documents import DamagedError, OutdatedError
from longtail.runs import run
from longtail.runs.outputs import described

log = logging.getLogger(__name__)


def find_damaged(plan: Plan) -> dict[Path, DamagedError]:
    """Check every finished run; return the folders of the damaged ones, and why. Changes nothing.

    Raises:
        ValueError: a run folder belongs to another configuration.
    """
    damaged = {}
    for task in plan.tasks:
        try:
            run.finished_run(task.folder, _expected_config(plan, task))
        except DamagedError as error:
            damaged[task.folder] = error
    return damaged


def reopen_damaged(plan: Plan, damaged: dict[Path, DamagedError]) -> None:
    """Log each damaged run and mark it unfinished; the caller has locked the output folder."""
    outdated = [error for error in damaged.values() if isinstance(error, OutdatedError)]
    if outdated:
        more = f"; {len(outdated) - 1} more of {plan.out} too" if len(outdated) > 1 else ""
        log.warning("%s%s; running again", outdated[0].reason, more)
    for folder, error in damaged.items():
        if error not in outdated:
            log.warning("%s; running it again", error.reason)
        run.reopen(folder, error)


def _expected_config(plan: Plan, task: Task) -> dict[str, Any]:
    """Return the entries of a run's config.json that identify this task."""
    method = plan.method(task.spec)
    recipe = method.under(task.under(plan.recipe)).to_json()
    classifier = {} if method.given is None else {"classifier": method.given.described}
    return {"method": task.spec, **classifier, "seed": task.seed, "data": described(plan.data), "recipe": recipe}
