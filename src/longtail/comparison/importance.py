"""What a method loses where the cells of one column are moved between test rows: permutation importance by class.

The fall of the recall of class j for column d is the recall as it is less the recall with column d permuted, averaged
over repetitions and seeds; that of the metric likewise, counted so that worse is positive (Breiman 2001, section 10;
Fisher, Rudin and Dominici 2019). Nothing is trained again. A column that a model does not read has exactly 0.

The standard error is over the choice of test rows, as everywhere in a comparison (`evidence.influences`): a row
contributes its mean fall over repetitions and seeds, so the noise of the permutations is in it, too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from longtail.catalogue.tasks import CONTEXT, SELF_SUPERVISED
from longtail.comparison.evidence.influences import variance
from longtail.comparison.evidence.measure import Measure
from longtail.comparison.findings import WAY_OUT
from longtail.comparison.plan import Plan
from longtail.comparison.preparation import Prepared
from longtail.facts import files, json_documents
from longtail.metrics.rates import Floats
from longtail.metrics.rows import Rows
from longtail.runs.manifest import RUN
from longtail.runs.permuted import PermutedRun, permuted_run
from longtail.runs.run import Run
from longtail.runs.scored import ScoredRun, of_run

log = logging.getLogger(__name__)

REPEATS = 5
"""Permutations of each column in each run."""
LONG = 60.0
"""Seconds from which on the user is told how long it will take."""
ENTRY = "importance"


def check_importance(prepared: Prepared) -> None:
    """Raise ValueError where there are no columns to measure, before anything is trained."""
    kind = getattr(prepared.splits.preparation, "kind", None)
    if kind != "table":
        raise ValueError(
            f"importance (--importance) is of the columns of a table, got {kind or 'inputs without columns'}; leave it "
            "out"
        )
    if prepared.task == SELF_SUPERVISED:
        raise ValueError("importance (--importance) is of classifiers, got encoders; leave it out, or compare probes")


def add_importance(plan: Plan, summary: dict[str, Any], *, measured: bool) -> None:
    """Add the entry `importance` to the rows of the reference and of the leader.

    Entries of an earlier summary on the same runs and question are taken over, for whichever row they are.

    Args:
        plan: of the comparison.
        summary: its summary; rows are changed.
        measured: whether to measure what is not known yet.
    """
    known = _known(plan)
    chosen = chosen_methods(summary) if measured else []
    for row in summary["rows"]:
        folders = {run["seed"]: plan.out / run["folder"] for run in row["runs"]}
        key = _key(plan, row["method"], [files.file_checksum(folder / RUN) for folder in folders.values()])
        if (entry := known.get(row["method"])) is not None and entry.get("key") == key:
            row[ENTRY] = entry
        elif row["method"] in chosen:
            try:
                row[ENTRY] = {"key": key, **_measured(plan, row["method"], [Run.load(f) for f in folders.values()])}
            except ValueError as error:  # a model that was not saved, or needs code of the user's
                log.warning("the importance of columns for %s is left out: %s", row["method"], error)


def chosen_methods(summary: Mapping[str, Any]) -> list[str]:
    """Return the reference and the method that the verdict or else the ranking names first."""
    reference = summary["reference"]
    ranked = [row["method"] for row in summary["rows"] if row["role"] != CONTEXT]
    gain = summary.get("gain")
    leader = gain["method"] if gain else next((name for name in ranked if name != reference), None)
    return [name for name in (reference, leader) if name is not None and name in ranked]


def _known(plan: Plan) -> dict[str, Any]:
    """Return the entries of the folder's earlier summary by method."""
    try:
        rows = json_documents.read(plan.out / "comparison.json", WAY_OUT).get("rows", [])
        return {row["method"]: row[ENTRY] for row in rows if isinstance(row.get(ENTRY), dict)}
    except (ValueError, TypeError, KeyError, AttributeError):  # none yet, or a damaged one, which is written anew
        return {}


def _key(plan: Plan, spec: str, checksums: list[str | None]) -> str:
    """Return what changes wherever an entry would."""
    question = plan.question.to_json(plan.folds is not None)
    text = json.dumps([spec, checksums, plan.data.hash, plan.metric, question, REPEATS], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _measured(plan: Plan, spec: str, runs: list[Run]) -> dict[str, Any]:
    network = None if plan.recipe.own is None else plan.recipe.own.factory
    own = [permuted_run(Run(r.folder, r.config, r.result, network), of_run(r), plan.data) for r in runs]
    begun = time.monotonic()
    falls = Falls(plan.question.measure, len(plan.data.classes))
    bases = []
    for one in own:
        scores = one.base()
        run = one.rescored(scores)
        bases.append((scores, run, _rows(plan, spec, run, run)))
    columns = tuple(dict.fromkeys(name for one in own for name in one.columns))
    seconds = (time.monotonic() - begun) * len(columns) * REPEATS
    if seconds > LONG:
        log.warning("measuring the columns of %s takes about %.0f minutes", spec, max(1, seconds / 60))
    entries = [
        {
            "column": name,
            **falls.of([_pairs(plan, spec, one, base, name) for one, base in zip(own, bases, strict=True)]),
        }
        for name in columns
    ]
    entries.sort(key=lambda entry: -(entry["metric"] if entry["metric"] is not None else -np.inf))
    return {"repeats": REPEATS, "seeds": len(runs), "rows": len(bases[0][2].targets), "columns": entries}


def _pairs(plan: Plan, spec: str, one: PermutedRun, base: tuple[Any, ScoredRun, Rows], column: str) -> list[Any]:
    """Return a run's rows as they are, and those of each repetition with the column permuted."""
    scores, run, rows = base
    draw = np.random.default_rng([one.run.config["seed"], *column.encode()])  # the same for all methods
    return [rows, *(_rows(plan, spec, run, one.with_column(scores, column, draw)) for _ in range(REPEATS))]


def _rows(plan: Plan, spec: str, run: ScoredRun, changed: ScoredRun) -> Rows:
    """Return test rows with the decisions that are asked for, by the rule that the unchanged run has."""
    asked = changed if plan.keeps_rule(spec) else plan.question.asked_of(run, changed)
    return plan.question.measure.rows(plan.question.rows(asked))


class Falls:
    """How much recalls and a metric fall between rows as they are and rows with a column permuted.

    Args:
        measure: the metric.
        num_classes: C.
    """

    def __init__(self, measure: Measure, num_classes: int) -> None:
        self.measure, self.num_classes = measure, num_classes

    def of(self, runs: list[list[Rows]]) -> dict[str, Any]:
        """Return `metric` and `recall` (C), and their standard errors; None of a class without rows, or undefined.

        Args:
            runs: for each seed the rows as they are, then those of each repetition; the same rows in every seed.
        """
        first = runs[0][0]
        fall = np.mean([self._fall(base.right, [one.right for one in some]) for base, *some in runs], axis=0)
        recall, errors = zip(*(self._of_class(first, fall, j) for j in range(self.num_classes)), strict=True)
        metric, error = self._of_metric(runs)
        return {"metric": metric, "metric_se": error, "recall": list(recall), "recall_se": list(errors)}

    @staticmethod
    def _fall(base: Any, permuted: list[Any]) -> Floats:
        # differences first, so that what does not change is exactly 0
        return np.asarray(np.mean([base.astype(np.float64) - one for one in permuted], axis=0))

    def _of_class(self, rows: Rows, fall: Floats, j: int) -> tuple[float | None, float | None]:
        mine = rows.targets == j
        if not mine.any():
            return None, None
        share = rows.weights[mine] / rows.weights[mine].sum()
        mean = float(share @ fall[mine])
        moved = variance(share * (fall[mine] - mean), np.array([mean]), np.zeros(int(mine.sum()), dtype=np.int64))
        return mean, float(np.sqrt(moved))

    def _of_metric(self, runs: list[list[Rows]]) -> tuple[float | None, float | None]:
        if not all(np.isfinite(self.measure.value(rows)) for some in runs for rows in some):
            return None, None
        judged = [[self.measure.judged(rows) for rows in some] for some in runs]

        def fall(name: str) -> Any:
            of_runs = [getattr(some[0], name) - getattr(one, name) for some in judged for one in some[1:]]
            return self.measure.sign * np.mean(of_runs, axis=0)

        moved = variance(fall("influence"), fall("parts"), judged[0][0].strata)
        return float(fall("value")), float(np.sqrt(moved))
