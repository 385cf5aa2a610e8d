"""`longtail compare`: methods x seeds on your data, ranked, with an honest verdict."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import decision_options as d
from longtail.cli import options as o
from longtail.cli import terminal
from longtail.cli.option_groups import DATA, RUNNING, TRAINING, data_options, recipe_options, with_options
from longtail.cli.terminal import print_json
from longtail.facts import subprocesses
from longtail.facts.paths import BUILT_IN


@with_options(reading=DATA, training=TRAINING, running=RUNNING)
def compare(
    data: o.Data = "digits",
    methods: Annotated[
        str,
        typer.Option(
            help="A preset (quick, practice, classical, all, noisy, features) or specs: "
            '"ce,ldam-drw(scale=20),sklearn:package.Class()".'
        ),
    ] = "quick",
    seeds: Annotated[int, typer.Option(help="How many seeds; they vary initialisation and order.")] = 3,
    metric: d.Metric = "balanced_accuracy",
    positive: d.Positive = None,
    cost: d.Cost = None,
    objective: d.Objective = None,
    target_prior: d.GivenPrior = None,
    baseline: Annotated[
        str | None, typer.Option(help="The method that others are compared with. Default: that of the folder, else ce.")
    ] = None,
    tune: Annotated[
        int | None, typer.Option(help="Tune every method by so many trainings each, on the validation part (--val).")
    ] = None,
    folds: o.Folds = None,
    task: o.Task = None,
    report: Annotated[
        bool, typer.Option("--report", help="Also write report.html, one page (see longtail report).")
    ] = False,
    importance: Annotated[
        bool, typer.Option("--importance", help="Of a table: which columns the recall of each class depends on.")
    ] = False,
    *,
    reading: dict[str, Any],
    training: dict[str, Any],
    evaluations: o.Evaluations = 1,
    select: o.Select = "last",
    tracker: o.Tracker = None,
    running: dict[str, Any],
) -> int:
    """Compare methods on DATA with several seeds: a ranked table, intervals and a verdict.

    Without arguments: scikit-learn's handwritten digits made long-tailed; no network, about a minute.

    Rows without labels (--unlabeled) and candidate sets (--candidates) get methods that learn from them, beside their
    task's reference; --labeled, --ambiguity and --noise hide labels of clean data, to measure what that costs.

    --importance moves the cells of one column after the other between test rows, and measures what the reference and
    the leader lose by it, class by class.

    Rows are ranked and tested by --metric. With --cost, --objective or --target-prior all of them decide by one rule,
    and nothing is trained again: give the same --out once more with another one.

    Example: longtail compare claims.csv --label fraud --out runs/claims
    """
    out, jobs, device = (running[name] for name in ("out", "jobs", "device"))
    folder = out or Path("runs", Path(data).stem)
    workers = _early_workers(seeds * (1 + methods.count(",")), jobs, device, folder) if _is_there(data) else 0
    with subprocesses.early_workers(workers, "longtail.comparison.execute"):
        from longtail.cli import comparison_output, plan_output, progress
        from longtail.cli.predict import prior
        from longtail.comparison import compare_prepared, prepare
        from longtail.comparison.execute import check_limits
        from longtail.comparison.importance import check_importance
        from longtail.comparison.tuned_rows import tune_every_method
        from longtail.facts.messages import visible
        from longtail.report import page
        from longtail.runs.trackers import named

        if report:
            page.check_installed()
        limits: dict[str, Any] = {"jobs": jobs, "budget": o.seconds(running["budget"]), "evaluations": evaluations}
        check_limits(**limits)
        limits["tracker"] = named(tracker)
        options: dict[str, Any] = {
            "methods": methods, "seeds": seeds, "metric": metric, "positive": positive, "cost": cost,
            "objective": objective, "target_prior": prior(target_prior), "baseline": baseline, "folds": folds,
            "out": out, "device": o.device(device), "task": task, "select": select, **data_options(reading),
            "inspect": report, **recipe_options(training),
        }  # fmt: skip

        def prepared_comparison() -> Any:
            made = prepare(data, **options)
            return made if tune is None else tune_every_method(made, tune)

        if running["dry_run"]:
            return plan_output.show_estimate(prepared_comparison(), jobs, evaluations, running["json"])
        with progress.comparison_callbacks("comparing") as callbacks:
            prepared = replace(prepared_comparison(), command=terminal.command())
            if importance:
                check_importance(prepared)
            result = compare_prepared(prepared, importance=importance, **limits, **callbacks)
    if report:
        result.report(prepared.out / "report.html")
    if running["json"]:
        print_json(result.summary)
    else:
        comparison_output.comparison(result.summary)
        others = [name for name in ("recall.svg", "report.html") if (prepared.out / name).exists()]
        files = " and ".join([f"Files: {prepared.out}/comparison.json, .csv, .md", *others])
        comparison_output.console().print(visible(files), style="dim", markup=False)
    return 0 if result.ok else 1


def _is_there(data: str) -> bool:
    """Whether DATA can be read, as far as its name says: a mistyped one is refused without waiting for workers."""
    return data in BUILT_IN or Path(data).exists()


def _early_workers(trainings: int, jobs: int | None, device: str, out: Path) -> int:
    """Return how many workers to start before torch is imported and the data are read; 0 where few may be needed.

    Args:
        trainings: at least so many, unless some are finished.
        jobs, device: as given.
        out: the output folder, as far as it is known.
    """
    if "torch" in sys.modules or device != "cpu" or (out / "comparison.json").exists():
        return 0
    return min(trainings, subprocesses.cores(), subprocesses.cores() if jobs is None else jobs)
