"""`longtail tune`: choose the knobs of a method on validation rows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import decision_options as d
from longtail.cli import options as o
from longtail.cli.option_groups import (
    DATA,
    RUNNING,
    TRAINING,
    data_options,
    data_words,
    recipe_options,
    training_words,
    with_options,
)
from longtail.cli.terminal import print_json, print_lines


@with_options(reading=DATA, training=TRAINING, running=RUNNING)
def tune(
    data: o.Data = "digits",
    method: Annotated[
        str | None,
        typer.Option(
            help='Required. A method with lists, "ldam(scale=[10,30])", or intervals for a random search, '
            '"ldam(scale=log(5,50))".'
        ),
    ] = None,
    vary: Annotated[
        str, typer.Option(help='Numbers of the recipe in the same way: "weight_decay=[1e-4,1e-3], epochs=[20,50]".')
    ] = "",
    search: Annotated[
        str, typer.Option(help="grid: all combinations; random: --trials of them; coordinate: one knob after another.")
    ] = "grid",
    trials: Annotated[int, typer.Option(help="How many settings a random search tries.")] = 20,
    inner_folds: Annotated[
        int | None, typer.Option(help="Validate by cross-validation inside of the training rows, in place of --val.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many trainings of every candidate.")] = 1,
    metric: d.Metric = "balanced_accuracy",
    positive: d.Positive = None,
    cost: d.Cost = None,
    task: o.Task = None,
    *,
    reading: dict[str, Any],
    training: dict[str, Any],
    running: dict[str, Any],
) -> int:
    """Choose the knobs of a method, and numbers of the recipe, on validation rows; the test part is not used.

    Validation rows are those that DATA declare, a share of the training rows (--val 0.2), or all of them in turn
    (--inner-folds 5). Prints every candidate, the chosen one with its interval, and the command that trains it;
    sensitivity.svg has the metric against each knob.

    Example: longtail tune digits --val 0.3 --method "ldam(scale=[10,30])" --vary "weight_decay=[1e-4,1e-2]"
    """
    if method is None:
        raise ValueError('--method must name what to search, got nothing; as in --method "ldam(scale=[10,30])"')
    from longtail.cli import plan_output, progress
    from longtail.comparison.execute import check_limits
    from longtail.comparison.tune.tune import checked, plan_search, prepare_search, tune_prepared

    limits: dict[str, Any] = {"jobs": running["jobs"], "budget": o.seconds(running["budget"])}
    check_limits(**limits)
    searched = checked(method, vary, search, trials)
    folder = running["out"] or Path("runs", f"{Path(data).stem}-tune")
    options: dict[str, Any] = {
        "inner_folds": inner_folds, "seeds": seeds, "metric": metric, "positive": positive,
        "cost": cost, "task": task, "out": folder,
        "device": o.device(running["device"]), **data_options(reading), **recipe_options(training),
    }  # fmt: skip
    if running["dry_run"]:
        prepared, inner = prepare_search(data, None, searched, **options)
        plan, most = plan_search(prepared, searched, search, trials, inner)
        return plan_output.show_search(plan, most, searched, search, running["jobs"], running["json"])
    with progress.comparison_callbacks("tuning") as callbacks:
        prepared, inner = prepare_search(data, None, searched, **options)
        result = tune_prepared(prepared, searched, search, trials, inner=inner, **limits, **callbacks)
    if running["json"]:
        print_json(result.summary)
        return 0 if result.ok else 1
    picture = " and sensitivity.svg" if (folder / "sensitivity.svg").exists() else ""
    print_lines(f"{result}\nFiles: {folder}/tune.json, .csv, .md{picture}")
    rows = data_words(data, {**reading, "val": None})  # what was held out to choose is trained on now
    where = "" if running["device"] == "cpu" else f" --device {running['device']}"
    words = f"--method {shlex.quote(result.spec)}{where} {training_words(training, result.recipe)}".rstrip()
    print_lines(f"Next: longtail train {rows} {words}")
    return 0 if result.ok else 1
