"""`tune`: search for a method's knobs on validation rows, from the data to the chosen spec."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from longtail.catalogue.search import Candidate
from longtail.comparison.execute import RunOptions, TaskResult, check_limits
from longtail.comparison.output_folder import make_output_folder, stored_config
from longtail.comparison.preparation import Prepared, prepare
from longtail.comparison.tune.summary import summarise
from longtail.comparison.tune.trials import Trials, run_trials, trials
from longtail.data.split.folds import Folds, check_folds
from longtail.engine.lock import exclusive
from longtail.facts.messages import quoted
from longtail.methods.tuning.search import Evaluate, at_random, coordinate, grid
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

    @property
    def ok(self) -> bool:
        """Whether no run failed."""
        return not self.summary["failed"]

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
    inner_folds: int | None = None,
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
        inner_folds: K, to evaluate every candidate by cross-validation inside of the training rows, K trainings each,
            in place of a validation part.
        out: folder for every run; the same call resumes there. None uses a temporary folder.
        run: jobs, budget, on_begin, ... as in `compare`.
        options: as in `compare`; `val` where the data have no validation part.

    Returns:
        what prints as the table of all candidates, best first, and the chosen one with an interval that is wide enough
        for the best of them; `spec` and `recipe` are the chosen ones, for `compare(data, methods=[spec], **recipe)`.

    Raises:
        ValueError, TypeError: before training: an unknown knob, a value out of its range, nothing to search, no
            validation rows.
    """
    limits = run or RunOptions()
    check_limits(limits.get("jobs"), limits.get("budget"))
    searched = checked(method, vary, search, trials)
    prepared, inner = prepare_search(data, y, searched, inner_folds=inner_folds, seeds=seeds, out=out, **options)
    if out is not None:
        return tune_prepared(prepared, searched, search, trials, inner=inner, **limits)
    with tempfile.TemporaryDirectory(prefix="longtail-") as folder:
        prepared = replace(prepared, out=Path(folder))
        return replace(tune_prepared(prepared, searched, search, trials, inner=inner, **limits), out=None)


def prepare_search(
    data: Any, y: Any, searched: Space, *, inner_folds: int | None = None, **options: Any
) -> tuple[Prepared, Folds | None]:
    """Load the data of a search, without the rows for testing, and check all that it needs; return its inner folds.

    Raises:
        ValueError, TypeError: as `prepare`; no validation rows; `folds`, which would be of rows for testing.
    """
    if "folds" in options:
        raise TypeError(
            "folds cannot go with a search, got folds; validate inside of the training rows with inner_folds"
        )
    if inner_folds is not None:
        check_folds(inner_folds, "inner_folds")
    prepared = prepare(data, y, methods=searched.name, folds=inner_folds, search=True, **options)
    return replace(prepared, folds=None), prepared.folds


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


def tune_prepared(
    prepared: Prepared,
    searched: Space,
    search: str,
    count: int,
    *,
    inner: Folds | None = None,
    **run: Unpack[RunOptions],
) -> Tuned:
    """Run a search that is checked, and write its files beside its runs.

    Args:
        prepared: a comparison, or what `prepare_search` returned; its test part is not used.
        searched, search, count: what is searched, how, and the trials of a random search.
        inner: folds of training rows, in place of the validation part of `prepared`.
        run: as in `tune`.
    """
    plan_search(prepared, searched, search, count, inner)  # refuses now what it would refuse in a later round
    make_output_folder(prepared.out)
    with exclusive(prepared.out):
        plan, failed = _search(prepared, searched, search, count, inner, run)
        summary = summarise(plan, searched, search, failed)
        report.write(prepared.out, summary)
    return Tuned(summary, prepared.out)


def plan_search(
    prepared: Prepared, searched: Space, search: str, count: int, inner: Folds | None = None
) -> tuple[Trials, int]:
    """Return the runs of a search, and how many candidates it has at most; trains nothing.

    Those of a coordinate search are the candidates of its first pass, at the first values.

    Raises:
        ValueError: a candidate that cannot be trained on the data, folds of rows for testing, a recipe of each method's
            own, or a folder that holds something else.
    """
    if prepared.folds is not None:
        raise ValueError("folds cannot go with a search, got folds; validate on a part with --val 0.2 (val=0.2)")
    if prepared.recipe.kind == "own":
        raise ValueError("recipe must be common for a search, got own, which overrides its values; leave it out")
    asked: dict[str, Candidate] = {}

    def evaluate(settings: Sequence[Setting]) -> list[float]:
        asked.update({one.text: one for one in (searched.candidate(s, prepared.recipe) for s in settings)})
        return [0.0] * len(settings)

    _explore(searched, search, count, evaluate)
    plan = trials(prepared, tuple(asked.values()), inner)
    stored_config(plan.out, plan.config(), [task.folder for task in plan.tasks])
    return plan, (2 * len(asked) - 1 if search == "coordinate" else len(asked))


def _explore(searched: Space, search: str, count: int, evaluate: Evaluate) -> None:
    """Ask for the metric of every setting of a search."""
    if search == "coordinate":
        coordinate(searched, evaluate)
    else:
        evaluate(grid(searched) if search == "grid" else at_random(searched, count))


def _search(
    prepared: Prepared, searched: Space, search: str, count: int, inner: Folds | None, run: RunOptions
) -> tuple[Trials, dict[str, str]]:
    """Train round after round; return the plan of all candidates, and the errors of failed runs by folder."""
    asked: dict[str, Candidate] = {}
    errors: dict[str, str] = {}
    budget, start = run.get("budget"), time.monotonic()
    then = run.get("on_result")

    def on_result(result: TaskResult) -> None:
        task = result.task
        if result.error is not None:
            named = Candidate(task.spec, dict(task.changes)).text
            errors[str(task.folder)] = f"{named}, seed {task.seed}: {result.error}"
        if then is not None:
            then(result)

    def evaluate(settings: Sequence[Setting]) -> list[float]:
        made = [searched.candidate(setting, prepared.recipe) for setting in settings]
        asked.update({one.text: one for one in made})
        plan = trials(prepared, tuple(asked.values()), inner)
        options = RunOptions(**{**run, "on_result": on_result})
        if budget is not None:
            options["budget"] = max(budget - (time.monotonic() - start), 1e-9)
        run_trials(plan, **options)
        return [plan.merit_of(one) for one in made]

    _explore(searched, search, count, evaluate)
    return trials(prepared, tuple(asked.values()), inner), errors
