"""`tune`: search for a method's knobs on validation rows, from the data to the chosen spec."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from longtail.catalogue.search import Candidate
from longtail.comparison.evidence.differences import compare_to_reference
from longtail.comparison.execute import RunOptions, TaskResult, check_limits
from longtail.comparison.output_folder import make_output_folder
from longtail.comparison.preparation import Prepared, prepare
from longtail.comparison.tune.trials import Trials, run_trials, trials
from longtail.engine.lock import exclusive
from longtail.facts.messages import quoted
from longtail.methods.tuning.search import at_random, best_of, coordinate, grid
from longtail.methods.tuning.space import Setting, Space, space
from longtail.report import candidates as report

SEARCHES = ("grid", "random", "coordinate")


@dataclass(frozen=True)
class Tuned:
    """A finished search: `summary` is the content of tune.json, `out` its folder, or None where it was temporary."""

    summary: dict[str, Any]
    out: Path | None = None

    @property
    def spec(self) -> str:
        """The chosen method's spec."""
        return str(self.summary["chosen"]["method"])

    @property
    def recipe(self) -> dict[str, Any]:
        """What the chosen candidate changes in the recipe."""
        return dict(self.summary["chosen"]["recipe_changes"])

    def __repr__(self) -> str:
        return report.plain(self.summary)


def tune(
    data: Any = "digits",
    y: Any = None,
    *,
    method: str,
    vary: str = "",
    search: str = "grid",
    trials: int = 20,
    seeds: int = 1,
    out: str | Path | None = None,
    run: RunOptions | None = None,
    **options: Any,
) -> Tuned:
    """Choose the knobs of a method, and of the recipe, on validation rows; the test part is not read.

    Args:
        data, y: as in `compare`.
        method: a spec with lists or intervals, such as "absgd(lam=[1, 2, 5], gamma=uniform(0.1, 0.9))".
        vary: the same for numbers of the recipe, such as "weight_decay=[1e-4, 5e-4]".
        search: "grid", "random" or "coordinate" (see `methods.tuning.search`).
        trials: settings of a random search.
        seeds: trainings of every candidate.
        out: folder for every run; the same call resumes there. None uses a temporary folder.
        run: jobs, budget, on_begin, ... as in `compare`.
        options: as in `compare`; `val` where the data have no validation part.

    Raises:
        ValueError, TypeError: before training: an unknown knob, a value out of its range, nothing to search, no
            validation rows.
    """
    limits = run or RunOptions()
    check_limits(limits.get("jobs"), limits.get("budget"))
    searched = checked(method, vary, search, trials)
    prepared = prepare(data, y, methods=searched.name, seeds=seeds, out=out, **options)
    if out is not None:
        return tune_prepared(prepared, searched, search, trials, **limits)
    with tempfile.TemporaryDirectory(prefix="longtail-") as folder:
        return replace(tune_prepared(replace(prepared, out=Path(folder)), searched, search, trials, **limits), out=None)


def checked(method: str, vary: str, search: str, trials: int) -> Space:
    """Return the space, with all that can be checked without data."""
    if search not in SEARCHES:
        raise ValueError(f"search must be one of {', '.join(SEARCHES)}, got {quoted(search)}; grid tries everything")
    made = space(method, vary)
    if search == "grid":
        grid(made)
    elif search == "random":
        at_random(made, trials)
    else:
        made.listed  # noqa: B018 - refuses intervals
    return made


def tune_prepared(prepared: Prepared, searched: Space, search: str, count: int, **run: Unpack[RunOptions]) -> Tuned:
    """Run a search that is checked, and write its files beside its runs."""
    if prepared.folds is not None:
        raise ValueError("folds cannot go with a search, got folds; validate on a part with --val 0.2 (val=0.2)")
    if prepared.recipe.kind == "own":
        raise ValueError("recipe must be common for a search, got own, which overrides its values; leave it out")
    make_output_folder(prepared.out)
    with exclusive(prepared.out):
        plan, failed = _search(prepared, searched, search, count, run)
        summary = _summary(plan, search, failed)
        report.write(prepared.out, summary)
    return Tuned(summary, prepared.out)


def _search(
    prepared: Prepared, searched: Space, search: str, count: int, run: RunOptions
) -> tuple[Trials, dict[str, str]]:
    """Train round after round; return the plan of all candidates, and the errors of failed runs by folder."""
    asked: dict[str, Candidate] = {}
    errors: dict[str, str] = {}
    budget, start = run.get("budget"), time.monotonic()
    then = run.get("on_result")

    def on_result(result: TaskResult) -> None:
        if result.error is not None:
            errors[str(result.task.folder)] = result.error
        if then is not None:
            then(result)

    def evaluate(settings: Sequence[Setting]) -> list[float]:
        made = [searched.candidate(setting, prepared.recipe) for setting in settings]
        asked.update({one.text: one for one in made})
        plan = trials(prepared, tuple(asked.values()))
        options = RunOptions(**{**run, "on_result": on_result})
        if budget is not None:
            options["budget"] = max(budget - (time.monotonic() - start), 1e-9)
        run_trials(plan, **options)
        return [plan.metric_of(one) for one in made]

    if search == "coordinate":
        coordinate(searched, evaluate)
    else:
        evaluate(grid(searched) if search == "grid" else at_random(searched, count))
    return trials(prepared, tuple(asked.values())), errors


def _summary(plan: Trials, search: str, errors: dict[str, str]) -> dict[str, Any]:
    """Return the content of tune.json.

    Raises:
        ValueError: no candidate finished.
    """
    metric = [plan.metric_of(one) for one in plan.candidates]
    if all(value != value for value in metric):
        why = next(iter(errors.values()), "the budget ended first")
        raise ValueError(f"no candidate finished ({why}); mend the cause or raise the budget and run the same again")
    chosen = plan.candidates[best_of(metric)]
    intervals = _intervals(plan, chosen)
    rows = [
        {"method": one.spec, "recipe_changes": dict(one.changes), "metric": None if value != value else value,
         "difference": intervals.get(one.text)}
        for one, value in sorted(zip(plan.candidates, metric, strict=True), key=lambda pair: -_number(pair[1]))
    ]  # fmt: skip
    missing = [str(t.folder) for t in plan.tasks if not t.finished and str(t.folder) not in errors]
    return {
        "schema_version": 1, "data": plan.data.name, "hash": plan.data.hash, "search": search, "metric": plan.metric,
        "seeds": len(plan.seeds), "validation_rows": len(plan.splits.test), "recipe": plan.recipe.to_json(),
        "chosen": rows[0], "rows": rows, "failed": list(errors.values()), "missing": len(missing),
    }  # fmt: skip


def _number(value: float) -> float:
    return -1.0 if value != value else value


def _intervals(plan: Trials, chosen: Candidate) -> dict[str, dict[str, float]]:
    """Return the difference of each other candidate to the chosen one on validation rows, with its interval."""
    predictions, targets, weight = plan.decisions()
    if len(predictions) < 2:
        return {}
    differences = compare_to_reference(
        predictions, targets, chosen.text, plan.metric, num_classes=len(plan.data.classes), sample_weight=weight
    )
    return {d.method: {"mean": d.difference, "low": d.low, "high": d.high} for d in differences}
