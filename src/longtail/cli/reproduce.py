"""`longtail reproduce`: a benchmark of the field, ours beside the published numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli import terminal
from longtail.cli.option_groups import RUNNING, with_options
from longtail.cli.terminal import print_json, print_lines


@with_options(running=RUNNING)
def reproduce(
    benchmark: Annotated[
        str,
        typer.Argument(
            help="As in cifar10-lt-100: cifar10 or cifar100, lt or step, the ratio; with candidate sets as in "
            "cifar10-lt-100-ambiguity-0.5; with few labels as in cifar10-lt-100-labeled-1500-unlabeled-3000; with "
            "noise as in cifar10-lt-100-noise-proportional-0.3 and, of all images, cifar10-noise-symmetric-0.4."
        ),
    ],
    methods: Annotated[
        str | None, typer.Option(help="A preset or specs (by default those with a published number for it).")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds; they vary initialisation and order.")] = 1,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs (by default those of the published protocol: 200; 800 and 256).")
    ] = None,
    noise: Annotated[
        str | None, typer.Option(help="KIND:RATE, as in BENCHMARK-noise-KIND-RATE, the name of the same benchmark.")
    ] = None,
    data_dir: o.DataDir = None,
    recipe: o.Recipe = "common",
    precision: o.Precision = None,
    compile: o.Compile = False,
    capture: o.Capture = True,
    deterministic: o.Deterministic = False,
    evaluations: o.Evaluations = 10,
    *,
    running: dict[str, Any],
) -> int:
    """Train BENCHMARK as published and print ours beside every published number, last and best-test.

    It is a comparison underneath: the same command resumes, more seeds and methods extend the folder.

    Example: longtail reproduce cifar10-lt-100 --methods ce,ldam-drw --data-dir data/cifar10
    """
    from longtail.cli import plan_output, progress
    from longtail.comparison import reproduction
    from longtail.comparison.benchmarks import with_noise
    from longtail.comparison.execute import check_limits

    limits: dict[str, Any] = {
        "jobs": running["jobs"], "budget": o.seconds(running["budget"]), "evaluations": evaluations,
    }  # fmt: skip
    check_limits(**limits)
    benchmark = with_noise(benchmark, noise)
    options: dict[str, Any] = {
        "methods": methods, "seeds": seeds, "epochs": epochs, "data_dir": data_dir, "kind": o.recipe_kind(recipe),
        "precision": precision, "compile": compile or None, "capture": None if capture else False,
        "deterministic": deterministic or None, "out": running["out"], "device": o.device(running["device"]),
    }  # fmt: skip
    if running["dry_run"]:
        _, prepared = reproduction.prepare_benchmark(benchmark, **options)
        return plan_output.show_estimate(prepared, running["jobs"], evaluations, running["json"])
    with progress.comparison_callbacks(f"reproducing {benchmark}") as callbacks:
        published, prepared = reproduction.prepare_benchmark(benchmark, **options)
        made = replace(prepared, command=terminal.command())
        result = reproduction.reproduce_prepared(published, made, **limits, **callbacks)
    if running["json"]:
        print_json(result.summary)
    else:
        print_lines(str(result))
        print_lines(f"Files: {result.out}/reproduction.json, .md, comparison.json, .csv, .md")
    return 0 if result.ok else 1
