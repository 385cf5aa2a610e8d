"""`longtail reproduce`: a benchmark of the field, ours beside the published numbers."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.terminal import say


def reproduce(
    benchmark: Annotated[str, typer.Argument(help="As in cifar10-lt-100: cifar10 or cifar100, lt or step, the ratio.")],
    methods: Annotated[
        str | None, typer.Option(help="A preset or specs (by default those with a published number for it).")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds; they vary initialisation and order.")] = 1,
    epochs: Annotated[int, typer.Option(help="Passes over the training part; 200 is the published protocol.")] = 200,
    data_dir: o.DataDir = None,
    recipe: o.Recipe = "common",
    precision: o.Precision = None,
    compile: o.Compile = False,
    evaluations: o.Evaluations = 10,
    budget: o.Budget = None,
    out: o.Out = None,
    device: o.Device = "cpu",
    jobs: o.Jobs = None,
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> int:
    """Train BENCHMARK as published and print ours beside every published number, last and best-test.

    It is a comparison underneath: the same command resumes, more seeds and methods extend the folder.

    Example: longtail reproduce cifar10-lt-100 --methods ce,ldam-drw --data-dir data/cifar10
    """
    from longtail.comparison import reproduction
    from longtail.comparison.execute import check_limits

    limit = o.seconds(budget)
    check_limits(jobs, limit, evaluations)
    asked: dict[str, Any] = {
        "methods": methods, "seeds": seeds, "epochs": epochs, "data_dir": data_dir, "kind": o.kind(recipe),
        "precision": precision, "compile": compile or None, "out": out, "device": o.device(device),
    }  # fmt: skip
    if dry_run:
        from longtail.cli import plan_output
        from longtail.comparison.estimate import estimate

        _, prepared = reproduction.prepare_benchmark(benchmark, **asked)
        return plan_output.show(estimate(prepared, jobs, evaluations, plan_output.age()), json)
    from longtail.cli import progress

    with progress.watched(f"reproducing {benchmark}") as callbacks:
        wanted, prepared = reproduction.prepare_benchmark(benchmark, **asked)
        result = reproduction.reproduce_prepared(
            wanted, prepared, evaluations=evaluations, jobs=jobs, budget=limit, **callbacks
        )
    if json:
        print(jsonlib.dumps(result.summary, indent=2))
    else:
        say(str(result))
        say(f"Files: {result.out}/reproduction.json, .md, comparison.json, .csv, .md")
    return 0 if result.ok else 1
