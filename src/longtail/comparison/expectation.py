"""What a finished comparison lets one expect of a method: quoted for a model that is trained on every row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SUPERVISED
from longtail.comparison.evidence.decisions import Labels, load_decisions
from longtail.comparison.evidence.metric_intervals import metric_intervals
from longtail.comparison.evidence.resampling import METRICS
from longtail.comparison.input_data import load_folds, load_splits
from longtail.comparison.question import Asked, question
from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.engine.selection import LAST
from longtail.facts import json_documents
from longtail.facts.json_documents import Rule, is_list_of, violation
from longtail.metrics.rates import Floats
from longtail.runs.run import first_difference
from longtail.runs.selected import WORDS

Decisions = tuple[dict[str, dict[int, Labels]], Labels, Floats | None]
FILE = "comparison.json"
WAY_OUT = "run the same longtail compare again, which writes it anew"
_RULES: dict[str, Rule] = {
    "data.hash": str, "data.facts": dict, "data.classes": is_list_of(str), "data.test_rows": list, "recipe": dict,
    "metric": str, "select": str, "rows": lambda value: isinstance(value, list) and all(map(_is_row, value)),
}  # fmt: skip
_ROW: dict[str, Rule] = {"method": str, "runs": list, "recall": list, "recall_interval": list, "mean": dict}


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and violation(value, _ROW) is None


def read(folder: str | Path) -> dict[str, Any]:
    """Read comparison.json.

    Raises:
        ValueError: there is none in the folder, or it is damaged.
    """
    path = Path(folder) / FILE
    if not path.exists():
        raise ValueError(f"{folder} holds no comparison ({FILE} is missing); name the --out of longtail compare")
    summary = json_documents.read(path, WAY_OUT)
    if (wrong := violation(summary, _RULES)) is not None:
        raise json_documents.DamagedError(f"{path} is damaged ({wrong})", WAY_OUT)
    return summary


def as_compared(
    folder: str | Path, method: Method, data: Any, y: Any, options: Mapping[str, Any], changes: Mapping[str, Any],
    select: str = LAST, decides: Asked | None = None,
) -> tuple[dict[str, Any], Recipe]:  # fmt: skip
    """Return the estimate of a method in a comparison, and the recipe that all its methods were trained by.

    The data are loaded and split as the comparison did, with its shares for validation and testing, and must be the
    same to the last value.

    Args:
        folder: of the comparison.
        method: which row is meant.
        data, y: as for `compare`.
        options: of `data.load`; val and test are those of the comparison.
        changes: to the recipe.
        select: which epoch the model keeps.
        decides: the costs or the objective that the model decides for; None leaves it its method's rule.

    Raises:
        ValueError: no comparison there, one of other data, of another recipe, without this method, or whose rows
            decide by another rule; the line names the difference.
    """
    summary = read(folder)
    if summary["select"] != WORDS[select]:
        raise ValueError(
            f"comparison (--comparison) {folder} counts the {summary['select']}, got select (--select) {select}: the "
            f"{WORDS[select]}; give the rule that it was made with, or leave it out"
        )
    row = _row(summary, method.spec, folder)
    loaded = _loaded(summary, data, y, options)
    splits = loaded.splits(0, 0) if isinstance(loaded, Folds) else loaded
    recipe = default_recipe(splits, **changes)
    own = {"facts": loaded.facts, "classes": list(loaded.classes), "hash": loaded.hash}
    _check(folder, "data", {name: summary["data"][name] for name in own}, own)
    _check(folder, "recipe", summary["recipe"], recipe.to_json())
    _check_rule(folder, summary, loaded, decides)
    return _estimate(folder, summary, row), recipe


def _row(summary: Mapping[str, Any], spec: str, folder: str | Path) -> dict[str, Any]:
    rows = {row["method"]: row for row in summary["rows"]}
    if spec not in rows:
        shown = ", ".join(list(rows)[:8]) + (", ..." if len(rows) > 8 else "")
        raise ValueError(
            f"the comparison in {folder} has no method {spec!r}, its methods are {shown}; name one of them with "
            "--method, or add yours to it with longtail compare"
        )
    row: dict[str, Any] = rows[spec]
    return row


def _loaded(summary: Mapping[str, Any], data: Any, y: Any, options: Mapping[str, Any]) -> Splits | Folds:
    facts, folds = summary["data"]["facts"], summary.get("folds")
    options = {**options, "val": facts.get("val")}
    if folds is not None:
        return load_folds(data, y, folds, options)
    return load_splits(data, y, {**options, **({"test": facts["test"]} if "test" in facts else {})})[0]


def _check(folder: str | Path, kind: str, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    as_json = json.loads(json.dumps(asked))  # so that tuples and lists compare alike
    difference = first_difference(stored, as_json, tuple({**stored, **as_json}))
    if difference is None:
        return
    entry, old, new = difference
    way = "give the options that it was made with" if kind == "recipe" or entry != "hash" else "name these data"
    values = "values or rows of the data" if entry == "hash" else f"{entry} is {old!r} there, {new!r} was asked"
    raise ValueError(f"comparison (--comparison) {folder} is of other {kind}: {values}; {way}, or leave it out")


def _check_rule(folder: str | Path, summary: Mapping[str, Any], loaded: Splits | Folds, decides: Asked | None) -> None:
    """Raise ValueError where the rows of the comparison decide by another rule than the model will."""
    there = summary.get("question") or {}
    if (prior := there.get("target_prior")) is not None:
        raise ValueError(
            f"comparison (--comparison) {folder} was last asked for probabilities under the prior {prior}, the model "
            "decides under that of its training; run that compare once more without --target-prior (nothing is trained)"
        )
    made = None if decides is None else question(decides, loaded, True, SUPERVISED)
    rule = None if made is None or made.decided is None else made.decided.words(isinstance(loaded, Folds))
    costs = None if made is None or made.measure.cost is None else made.measure.cost.tolist()
    if there.get("decided_for") != rule or (rule is not None and costs is not None and there.get("cost") != costs):
        asked = there.get("decided_for") or "each method's own rule"
        raise ValueError(
            f"comparison (--comparison) {folder} was last decided for: {asked}, the model decides for: "
            f"{rule or 'its own rule'}; run that compare once more with the same --objective, --cost and --positive "
            "(nothing is trained), or leave it out"
        )


def _estimate(folder: str | Path, summary: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    ends = [(None, None) if one is None else one for one in row["recall_interval"]]
    tested = summary["data"]["test_rows"]
    runs = {run["seed"]: Path(folder) / run["folder"] for run in row["runs"]}
    decisions = load_decisions({row["method"]: runs})
    metrics = row["metrics"] if row.get("metrics") else _metrics(row, decisions, len(tested))
    spread, asked = row.get("std", {}), summary.get("question") or {}
    return {
        **{name: asked.get(name) for name in ("positive", "cost", "decided_for", "target_prior")},
        "comparison": str(folder),
        "method": row["method"],
        "metric": summary["metric"],
        "select": summary["select"],
        "seeds": len(row["runs"]),
        "folds": summary.get("folds"),
        "rows": int(sum(tested)),
        "classes": summary["data"]["classes"],
        "metrics": {name: {**one, "std": spread.get(name)} for name, one in metrics.items()},
        "per_class": {
            "recall": row["recall"], "low": [low for low, _ in ends], "high": [high for _, high in ends], "n": tested,
            "std": _spread(row["method"], decisions, len(tested)),
        },
    }  # fmt: skip


def _metrics(row: Mapping[str, Any], decisions: Decisions, size: int) -> dict[str, dict[str, float]]:
    """Return the means of the row with their intervals, from the predictions of its runs."""
    predictions, targets, weight = decisions
    found = {}
    for name in METRICS:
        ends = metric_intervals(predictions, targets, name, num_classes=size, sample_weight=weight)[row["method"]]
        found[name] = {"mean": row["mean"][name], "low": ends[0], "high": ends[1]}
    return found


def _spread(method: str, decisions: Decisions, size: int) -> list[float | None]:
    """Return the standard deviation of each class's recall over the seeds; None of one seed, or without test rows."""
    predictions, targets, weight = decisions
    seeds = list(predictions[method].values())
    if len(seeds) < 2:
        return [None] * size
    w = np.ones(len(targets)) if weight is None else weight
    support = np.bincount(targets, weights=w, minlength=size)
    hits = np.stack([np.bincount(targets, weights=w * (one == targets), minlength=size) for one in seeds])
    spread = np.where(support > 0, hits / np.where(support > 0, support, 1.0), np.nan).std(axis=0, ddof=1)
    return [None if np.isnan(value) else float(value) for value in spread]
