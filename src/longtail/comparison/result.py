"""The summary of a comparison, read from the files of its runs: rows, paired differences, verdict and gain."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from longtail.catalogue.tasks import CONTEXT, METHOD, TASKS
from longtail.comparison import pseudo_labels, wrong_labels
from longtail.comparison.evidence.decisions import load_decisions
from longtail.comparison.evidence.differences import Difference, Differences, compare_to_reference
from longtail.comparison.evidence.recall_intervals import tested_rows_by_class
from longtail.comparison.evidence.verdict import verdict, verdict_on_retraining, verdict_on_twins
from longtail.comparison.execute import TaskResult
from longtail.comparison.findings import known_findings
from longtail.comparison.made_by import made_by
from longtail.comparison.notes import notes
from longtail.comparison.plan import Plan, Task, corrects_plain
from longtail.comparison.row_metrics import Judgements
from longtail.comparison.seed_statistics import probe_protocols
from longtail.comparison.summary_rows import Finished, summary_rows
from longtail.comparison.tuned_rows import verdict_on_tuned
from longtail.facts.groups import groups
from longtail.runs import selected
from longtail.runs.outputs import group_counts

SCHEMA = 1
"""Version of comparison.json."""


def summarise(plan: Plan, results: list[TaskResult]) -> dict[str, Any]:
    """Return the content of comparison.json: all that tables, plots and sentences are made from."""
    finished: dict[str, dict[int, Task]] = defaultdict(dict)
    for task in plan.tasks:
        if task.finished:
            finished[task.spec][task.seed] = task
    rows, judgements = summary_rows(plan, finished)
    counts, unlabeled = _as_numbers(group_counts(plan.data)), plan.splits.unlabeled
    members = groups(counts)
    by_group = {"many": _indices(members.many), "medium": _indices(members.medium), "few": _indices(members.few)}
    for row in rows:
        row |= wrong_labels.memorised(row.pop("memorisation"), by_group)
    own_rule = [spec for spec in finished if plan.keeps_rule(spec)]
    summary: dict[str, Any] = {
        "schema_version": SCHEMA,
        "data": {
            "name": plan.data.name,
            "hash": plan.data.hash,
            "facts": plan.data.facts,
            "notes": notes(plan),
            "classes": list(plan.data.classes),
            "class_counts": counts,
            # where candidate sets hide them, the counts are expected ones
            "counts_known": plan.data.counts_known or plan.data.clean_counts is not None,
            "labels": plan.splits.train.kind,
            "unlabeled": None if unlabeled is None else len(unlabeled),
            "test_counts": _as_numbers(plan.data.test_counts),
            "test_rows": tested_rows_by_class(plan.data),
            "groups": {"rule": members.rule, **by_group},
            "wrong_labels": wrong_labels.realised(plan.splits, by_group),
        },
        "recipe": plan.recipe.to_json(),
        "metric": plan.metric,
        "question": {**plan.question.to_json(plan.folds is not None), "own_rule": own_rule},
        "task": plan.task,
        "reference": plan.reference,
        "seeds": list(plan.seeds),
        "folds": None if plan.folds is None else plan.folds.k,
        "select": selected.WORDS[plan.select],
        **probe_protocols(plan),
        "failed": [
            {"method": r.task.spec, "seed": r.task.seed, "error": r.error} for r in results if r.error is not None
        ],
        "missing": [{"method": t.spec, "seed": t.seed} for t in plan.tasks if not t.finished],
    }
    done = [task.folder for tasks in finished.values() for task in tasks.values()]
    summary |= made_by(plan.out, plan.command, plan.device, done)
    summary["findings"] = known_findings(plan.out, plan.data.hash) if plan.findings is None else plan.findings
    _add_differences(plan, summary, rows, finished, judgements)
    rows.sort(key=lambda row: (row["role"] == CONTEXT, -_merit(plan, row)))  # context rows are not ranked
    summary["rows"] = rows
    summary["data"]["notes"] += pseudo_labels.notes(rows)
    summary["gain"] = _gain(summary)
    return summary


def _as_numbers(counts: Tensor) -> list[int | float]:
    """Return counts for JSON; sums of weights that are whole numbers become integers."""
    return [int(n) if float(n).is_integer() else float(n) for n in counts.tolist()]


def _indices(indices: Any) -> list[int] | None:
    return None if indices is None else [int(j) for j in indices]


def _merit(plan: Plan, row: dict[str, Any]) -> float:
    """Return what rows are ranked by, the largest first."""
    name = plan.metric
    value = row["mean"][name] if name in row["mean"] else row["metrics"].get(name, {"mean": None})["mean"]
    return -math.inf if value is None else plan.question.measure.sign * value


def _add_differences(
    plan: Plan,
    summary: dict[str, Any],
    rows: list[dict[str, Any]],
    finished: Finished,
    judgements: Judgements,
) -> None:
    """Add the paired differences to the rows, and the verdicts to the summary."""
    summary["verdict"] = summary["twins"] = summary["retraining"] = summary["tuned"] = None
    # under another recipe a difference would be the recipe's as much as the method's
    alike = {row["method"]: finished[row["method"]] for row in rows if row["comparable"] and row["role"] != CONTEXT}
    # where runs failed, a method may share no seed with the reference
    paired = _sharing_a_seed(alike, [plan.reference])
    if len(paired) < 2:
        return
    folders = {spec: {seed: task.folder for seed, task in finished[spec].items()} for spec in paired}
    predictions, targets, weight = load_decisions(folders, judgements.runs)
    size, measure = len(plan.data.classes), plan.question.measure
    # a twin that failed, or shares no seed, is no twin
    twins = {m: t for m, t in plan.twins.items() if m in paired and m in _sharing_a_seed(predictions, [t])}
    differences = compare_to_reference(
        predictions, targets, plan.reference, measure, num_classes=size, sample_weight=weight, twins=twins
    )
    first = verdict(differences)
    by_method = {d.method: d for d in differences}
    by_twin = {m: by_method[m] for m in twins} | {d.method: d for d in differences.twins}
    for row in rows:
        d, t = by_method.get(row["method"]), by_twin.get(row["method"])
        row["difference"] = None if d is None else _interval(d)
        row["twin"] = None if t is None else {"method": t.reference, **_interval(t)}
    summary["verdict"] = {
        "sentence": first.sentence + (f" But {selected.OPTIMISTIC}." if plan.select == "best-test" else ""),
        "winners": list(first.winners), "losers": list(first.losers), "undecided": list(first.undecided),
        "statistics": _statistics(differences),
    }  # fmt: skip
    if (third := verdict_on_twins(differences)) is not None:
        summary["twins"] = {"sentence": third.sentence, "winners": list(third.winners), "losers": list(third.losers)}

    def corrects(spec: str) -> bool:
        return corrects_plain(plan.method(spec), plan.task)

    posthoc = [row["method"] for row in rows if corrects(row["method"]) and row["method"] in predictions]
    test: dict[str, Any] = {"metric": measure, "num_classes": size, "sample_weight": weight}
    plain = next((spec for spec in (TASKS[plan.task].reference, plan.reference) if spec in predictions), "")
    summary["tuned"] = verdict_on_tuned(rows, predictions, targets, (plain, plan.reference), **test)
    if plain in posthoc:
        return
    comparable = {spec: predictions[spec] for spec in _sharing_a_seed(predictions, [plain, *posthoc])}
    second = verdict_on_retraining(comparable, targets, plain=plain, posthoc=posthoc, **test)
    if second is not None:
        summary["retraining"] = {"sentence": second[1].sentence, "winners": list(second[1].winners)}


def _sharing_a_seed(by_seed: Mapping[str, Mapping[int, Any]], others: Sequence[str]) -> list[str]:
    """Return the methods that have a finished seed in common with each of the others."""
    return [spec for spec, seeds in by_seed.items() if all(set(seeds) & set(by_seed.get(o, ())) for o in others)]


def _interval(difference: Difference) -> dict[str, float]:
    return {"mean": difference.difference, "low": difference.low, "high": difference.high}


def _statistics(differences: Differences) -> dict[str, Any]:
    return {
        "level": differences.level,
        "contrasts": len(differences.rows) + len(differences.twins),
        "critical_value": differences.critical_value,
        "df": differences.df,
        "seed_variance": differences.seed_variance,
        "outside": list(differences.outside),
        "notes": list(differences.notes),
    }


def _gain(summary: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the leader gains and costs: recall of the rarest and of the largest classes, and time."""
    rows = {row["method"]: row for row in summary["rows"]}
    reference = summary["reference"]
    rest = [row for row in summary["rows"] if row["role"] == METHOD and row["comparable"]]
    if reference not in rows or not rest:
        return None
    winners = summary["verdict"]["winners"] if summary["verdict"] else []
    same = {"mean": 0.0, "low": 0.0, "high": 0.0}  # the reference itself, where one rule decides in all rows
    other = [row for row in rest if row.get("difference") != same] or rest
    best = rows[winners[0]] if winners else other[0]
    plain, members = rows[reference], summary["data"]["groups"]
    if not members["few"]:  # below three classes
        ranked = np.argsort([-count for count in summary["data"]["class_counts"]], kind="stable").tolist()
        members = {"many": ranked[:1], "few": ranked[-1:]}
    return {
        "method": best["method"],
        "shown": bool(winners),
        "few": [_mean_recall(row, members["few"]) for row in (plain, best)],
        "many": [_mean_recall(row, members["many"]) for row in (plain, best)],
        "few_classes": len(members["few"]),
        "many_classes": len(members["many"]),
        "seconds": [plain["seconds"], best["seconds"]],
    }


def _mean_recall(row: dict[str, Any], classes: list[int]) -> float | None:
    values = [row["recall"][j] for j in classes if row["recall"][j] is not None]
    return float(np.mean(values)) if values else None
