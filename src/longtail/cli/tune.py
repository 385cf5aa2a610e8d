"""`longtail tune`: choose the knobs of a method on validation rows."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.option_groups import DATA, TRAINING, data_options, data_words, recipe_options, with_options
from longtail.cli.terminal import print_json


@with_options(reading=DATA, training=TRAINING)
def tune(
    data: o.Data = "digits",
    method: Annotated[
        str, typer.Option(help='A spec with lists: "absgd(lam=[1,2,5])"; for random search also lam=log(0.1,10).')
    ] = "ce",
    vary: Annotated[str, typer.Option(help='Numbers of the recipe, alike: "weight_decay=[1e-4,5e-4]".')] = "",
    search: Annotated[str, typer.Option(help="grid, random or coordinate.")] = "grid",
    trials: Annotated[int, typer.Option(help="How many settings a random search tries.")] = 20,
    seeds: Annotated[int, typer.Option(help="How many trainings of every candidate.")] = 1,
    metric: Annotated[str, typer.Option(help="balanced_accuracy, accuracy or macro_f1.")] = "balanced_accuracy",
    *,
    reading: dict[str, Any],
    training: dict[str, Any],
    budget: o.Budget = None,
    out: o.Out = None,
    device: o.Device = "cpu",
    jobs: o.Jobs = None,
    json: o.Json = False,
) -> int:
    """Choose the knobs of a method on the validation part of DATA; the test part is not used.

    Validation rows are those that DATA declare, or a share of the training rows (--val 0.2).

    Example: longtail tune digits --val 0.2 --method "ldam(scale=[10,30])" --vary "weight_decay=[1e-4,1e-3]"
    """
    from pathlib import Path

    from longtail.comparison.execute import RunOptions
    from longtail.comparison.tune.tune import tune as search_knobs

    result = search_knobs(
        data, method=method, vary=vary, search=search, trials=trials, seeds=seeds, metric=metric,
        out=out or Path("runs", f"{Path(data).stem}-tune"), run=RunOptions(jobs=jobs, budget=o.seconds(budget)),
        device=o.device(device), **data_options(reading), **recipe_options(training),
    )  # fmt: skip
    if json:
        print_json(result.summary)
        return 0 if not result.summary["failed"] else 1
    print(result)
    print(f"Files: {result.out}/tune.json, .csv, .md")
    if not result.recipe:
        words = f"longtail compare {data_words(data, reading)} --methods {shlex.quote(result.spec)}"
        print(f"Next, with the same training options: {words}")
    return 0 if not result.summary["failed"] else 1
