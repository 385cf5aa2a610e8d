"""Train the candidates of a search on validation rows, with the plan, workers and folders of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from longtail.catalogue.search import Candidate
from longtail.catalogue.spec import folder_name
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.comparison.audit import find_damaged, reopen_damaged
from longtail.comparison.evidence.decisions import load_decisions
from longtail.comparison.execute import RunOptions, execute
from longtail.comparison.output_folder import stored_config, write_config
from longtail.comparison.plan import Plan, Task
from longtail.comparison.preparation import Prepared
from longtail.data.split.folds import Folds
from longtail.facts.files import remove_unfinished
from longtail.methods import method
from longtail.metrics.rows import Rows
from longtail.runs.run import Run
from longtail.runs.scored import of_run


@dataclass(frozen=True)
class Trials(Plan):
    """Candidates x seeds; `splits` have the validation part in place of the test part, `folds` are training rows."""

    candidates: tuple[Candidate, ...] = ()

    @property
    def reference(self) -> str:
        """A method of the search: none is compared with another one."""
        return self.candidates[0].spec

    @property
    def tasks(self) -> list[Task]:
        """All runs, seed by seed."""
        return [self.task_of(one, seed) for seed in self.seeds for one in self.candidates]

    def task_of(self, one: Candidate, seed: int) -> Task:
        """Return the run of a candidate with a seed."""
        folder = self.out / folder_name(self.method(one.spec).key, one.text) / f"seed-{seed}"
        return Task(one.spec, seed, folder, tuple(sorted(one.changes.items())))

    def metric_of(self, one: Candidate) -> float:
        """Return the mean of the metric over all seeds on validation rows; NaN where a run is missing."""
        tasks = [self.task_of(one, seed) for seed in self.seeds]
        if not all(task.finished for task in tasks):
            return math.nan
        values = [self._value(Run.load(task.folder)) for task in tasks]
        return float(sum(values) / len(values))

    def merit_of(self, one: Candidate) -> float:
        """Return the metric, higher is better: with the sign changed where lower is."""
        return self.question.measure.sign * self.metric_of(one)

    def _value(self, run: Run) -> float:
        stored = run.scores.get(self.metric) if self.question.plain else None
        if stored is not None:
            return float(stored)
        if self.task == SELF_SUPERVISED:
            return math.nan
        return self.question.measure.value(self._rows(run))

    def _rows(self, run: Run) -> Rows:
        own = of_run(run)
        return self.question.rows(own if self.keeps_rule(run.config["method"]) else self.question.asked_of(own))

    def decisions(self) -> Any:
        """Return the finished candidates on validation rows, as `compare_to_reference` takes them."""
        folders: dict[str, dict[int, Path]] = {}
        for one in self.candidates:
            tasks = [self.task_of(one, seed) for seed in self.seeds]
            if all(task.finished for task in tasks):
                folders[one.text] = {task.seed: task.folder for task in tasks}
        judged: dict[str, Any] = {}
        measure = self.question.measure
        if self.task != SELF_SUPERVISED and not (measure.exact and self.question.plain):
            for folder in (folder for seeds in folders.values() for folder in seeds.values()):
                rows = self._rows(Run.load(folder))
                judged[str(folder)] = rows.decided if measure.exact else measure.judged(rows)
        return load_decisions(folders, judged)


def trials(prepared: Prepared, candidates: Sequence[Candidate], inner: Folds | None = None) -> Trials:
    """Return the plan of a search on the validation part, or on folds inside of the training rows; writes nothing.

    Raises:
        ValueError: no validation rows, or a candidate that needs these rows itself or cannot be trained on the data.
    """
    splits = prepared.splits.without_test() if inner is None else inner.splits(0, 0)
    methods = {spec: method(spec) for spec in dict.fromkeys(one.spec for one in candidates)}
    for one in candidates:
        made, recipe = methods[one.spec], one.under(prepared.recipe)
        if one.changes and not made.slots:
            raise ValueError(
                f"vary changes nothing for method {made.spec!r}, which makes no steps, got {', '.join(one.changes)}; "
                "leave it out"
            )
        reason = made.refuses(splits.train, splits.unlabeled) or made.refuses_recipe(recipe, splits.train)
        if reason is not None:
            raise ValueError(reason)
    changed = {"splits": splits, "folds": inner, "methods": tuple(methods.values()), "candidates": tuple(candidates)}
    return Trials(**{**vars(prepared), **changed})


def run_trials(plan: Trials, **run: Unpack[RunOptions]) -> list[float]:
    """Train what is not finished; return the merit of each candidate. The caller has locked the output folder."""
    stored_config(plan.out, plan.config(), [task.folder for task in plan.tasks])  # refuses other data or recipes
    remove_unfinished(plan.out)
    reopen_damaged(plan, find_damaged(plan))
    write_config(plan.out, plan.config(), plan.data.origin)
    execute(plan, **run)
    return [plan.merit_of(one) for one in plan.candidates]
