"""The rows of a summary: what is known of each method from the files of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.comparison import pseudo_labels
from longtail.comparison.diagnostics import RowRuns, diagnosed
from longtail.comparison.evidence.recall_intervals import recall_intervals, varies_by_seed
from longtail.comparison.plan import Plan, Task
from longtail.comparison.row_metrics import Judgements, per_class
from longtail.comparison.seed_statistics import encoder_statistics, mean, numbers, std
from longtail.comparison.tuned_rows import searched
from longtail.metrics import evaluate
from longtail.runs.run import Run
from longtail.runs.scored import ScoredRun, of_run

Finished = Mapping[str, Mapping[int, Task]]
"""Method -> seed -> its finished run."""
AVERAGED = (
    "balanced_accuracy", "accuracy", "macro_f1", "g_mean", "many", "medium", "few", "worst_class", "ece",
    "classwise_ece",
)  # fmt: skip


def summary_rows(plan: Plan, finished: Finished) -> tuple[list[dict[str, Any]], Judgements]:
    """Return a row for every method with a finished run, and what its runs were judged to be."""
    judgements = Judgements(plan.question)
    rows = [_row(plan, spec, finished, judgements) for spec in finished]
    entries = judgements.metrics()
    for row in rows:
        row["metrics"] = entries.get(row["method"], {})
    for row in rows:  # of an encoder the metric is that of its probe
        of_runs = judgements.seeds.get(row["method"], {}).get(plan.metric)
        for k, run in enumerate(row["runs"]):
            if of_runs is not None:
                run[plan.metric] = float(of_runs.values[k])
    return rows, judgements


def _row(plan: Plan, spec: str, finished: Finished, judgements: Judgements) -> dict[str, Any]:
    tasks = finished[spec]
    loaded = [Run.load(task.folder) for task in tasks.values()]
    runs = [run.result for run in loaded]
    scores = [run["scores"] for run in runs]
    diagnostics: dict[str, Any] = {}
    if plan.task != SELF_SUPERVISED:
        own = [of_run(run) for run in loaded]
        arrays = own if plan.keeps_rule(spec) else [plan.question.asked_of(run) for run in own]
        judgements.add(spec, arrays)
        if not plan.question.plain:
            scores = [_scores(run) for run in arrays]
        diagnostics = diagnosed(_row_runs(spec, own, arrays))
    recall = np.array([one["per_class"]["recall"] for one in scores], dtype=float)
    means = [mean(column) for column in recall.T]
    table = {name: numbers([one[name] for one in scores]) for name in AVERAGED}
    return {
        "method": spec,
        "key": runs[0]["key"],
        "paper": runs[0]["reference"],
        "role": plan.role(spec),
        "retrains": runs[0]["retrains"],
        "recipe_changes": plan.changes(spec),
        "comparable": plan.changes(spec) == plan.changes(plan.reference),
        "epochs": plan.epochs(spec),
        "reuses": _reused(plan, spec, next(iter(tasks)), finished),
        "mean": {name: mean(values) for name, values in table.items()},
        "std": {name: std(values) for name, values in table.items()},
        "varies": varies_by_seed(scores),
        **encoder_statistics(runs),
        **({} if (found := searched(runs)) is None else {"search": found}),
        **pseudo_labels.pseudo_labels(plan, tasks.values()),
        **diagnostics,
        "memorisation": [run.get("memorisation") for run in runs],
        "recall": means,
        "recall_interval": recall_intervals(means, plan.data.test_counts.tolist()),
        "per_class": per_class(scores),
        "seconds": float(np.mean([run["seconds"] for run in runs])),
        "runs": [
            {"seed": run["seed"], "folder": str(task.folder.relative_to(plan.out)), "seconds": run["seconds"],
             plan.metric: one.get(plan.metric)}
            for run, one, task in zip(runs, scores, tasks.values(), strict=True)
        ],
    }  # fmt: skip


def _row_runs(spec: str, own: list[ScoredRun], asked: list[ScoredRun]) -> RowRuns:
    """Return what is diagnosed: decisions that were asked for, and the probabilities that validation rows have, too."""
    pairs = zip(own, asked, strict=True)
    runs = tuple(replace(run, test=replace(run.test, decided=other.test.decided)) for run, other in pairs)
    return RowRuns(spec, runs, runs[0].classes, runs[0].class_counts)


def _scores(run: ScoredRun) -> dict[str, Any]:
    """Score a run with the decisions that were asked for."""
    test = run.test
    return evaluate(
        np.exp(test.log_probs), test.targets, class_counts=run.class_counts, probabilities=True,
        sample_weight=test.weight, decided=test.decided,
    )  # fmt: skip


def _reused(plan: Plan, spec: str, seed: int, finished: Finished) -> str | None:
    """Return the run whose training a row shares by the plan, whichever of the two was trained first."""
    trainer = plan.shared(spec, [other for other, tasks in finished.items() if seed in tasks])
    return None if trainer is None else str(finished[trainer][seed].folder.relative_to(plan.out))
