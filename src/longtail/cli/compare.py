"""`longtail compare`: methods x seeds on your data, ranked, with an honest verdict."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.option_groups import DATA, TRAINING, recipe, taking


@taking(reading=DATA, training=TRAINING)
def compare(
    data: o.Data = "digits",
    methods: Annotated[str, typer.Option(help='A preset (quick, all) or specs: "ce,ldam-drw(scale=20)".')] = "quick",
    seeds: Annotated[int, typer.Option(help="How many seeds; they vary initialisation and order.")] = 3,
    metric: Annotated[str, typer.Option(help="balanced_accuracy, accuracy or macro_f1.")] = "balanced_accuracy",
    folds: o.Folds = None,
    *,
    reading: dict[str, Any],
    training: dict[str, Any],
    evaluations: o.Evaluations = 1,
    budget: o.Budget = None,
    out: o.Out = None,
    device: o.Device = "cpu",
    jobs: o.Jobs = None,
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> int:
    """Compare methods on DATA with several seeds: a ranked table, intervals and a verdict.

    Without arguments: scikit-learn's handwritten digits made long-tailed; no network, about a minute.

    Example: longtail compare claims.csv --label fraud --out runs/claims
    """
    from longtail.comparison import prepare
    from longtail.comparison.execute import check_limits

    limit = o.seconds(budget)
    check_limits(jobs, limit, evaluations)
    wanted: dict[str, Any] = {
        "methods": methods, "seeds": seeds, "metric": metric, "folds": folds, "out": out, "device": o.device(device),
        **reading, **recipe(training),
    }  # fmt: skip
    if dry_run:
        from longtail.cli import plan_output
        from longtail.comparison.estimate import estimate

        prepared = prepare(data, **wanted)
        return plan_output.show(estimate(prepared, jobs, evaluations, plan_output.age()), json)
    return _run(data, wanted, {"jobs": jobs, "budget": limit, "evaluations": evaluations}, json)


def _run(data: str, wanted: dict[str, Any], limits: dict[str, Any], json: bool) -> int:
    from longtail import comparison
    from longtail.cli import comparison_output, progress
    from longtail.facts.messages import visible

    with progress.watched("comparing") as callbacks:
        prepared = comparison.prepare(data, **wanted)
        result = comparison.compare_prepared(prepared, **limits, **callbacks)
    if json:
        print(jsonlib.dumps(result.summary, indent=2))
    else:
        comparison_output.comparison(result.summary)
        files = f"Files: {result.out}/comparison.json, .csv, .md{_picture(result)}"
        comparison_output.console().print(visible(files), style="dim", markup=False)
    return 0 if result.ok else 1


def _picture(result: Any) -> str:
    drawn = (result.out / "recall.svg").exists()
    return " and recall.svg" if drawn else " (recall.svg needs longtail[report])"
