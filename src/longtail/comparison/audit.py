"""Before anything runs: which finished runs of a folder can be believed, and which are to be run again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from longtail.comparison.plan import Plan, Task
from longtail.facts.json_documents import DamagedError, OutdatedError
from longtail.runs import run
from longtail.runs.outputs import described

log = logging.getLogger(__name__)


def audit(plan: Plan) -> dict[Path, DamagedError]:
    """Check every finished run: the folders of those that cannot be believed, and why. Changes nothing.

    Raises:
        ValueError: a run folder belongs to another configuration.
    """
    broken = {}
    for task in plan.tasks:
        try:
            run.finished_run(task.folder, _asked(plan, task))
        except DamagedError as error:
            broken[task.folder] = error
    return broken


def mend(plan: Plan, broken: dict[Path, DamagedError]) -> None:
    """Say which runs are damaged, a line each, and make them unfinished; for whoever holds the folder."""
    old = [error for error in broken.values() if isinstance(error, OutdatedError)]
    if old:
        more = f"; {len(old) - 1} more of {plan.out} too" if len(old) > 1 else ""
        log.warning("%s%s; running again", old[0].reason, more)
    for folder, error in broken.items():
        if error not in old:
            log.warning("%s; running it again", error.reason)
        run.reopen(folder, error)


def _asked(plan: Plan, task: Task) -> dict[str, Any]:
    """What must stand in a run's config.json for it to be this task's."""
    recipe = next(m for m in plan.methods if m.spec == task.spec).under(plan.recipe).to_json()
    return {"method": task.spec, "seed": task.seed, "data": described(plan.data), "recipe": recipe}
