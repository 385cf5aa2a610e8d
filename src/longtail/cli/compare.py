"""`longtail compare`: methods x seeds on your data, ranked, with an honest verdict."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from longtail.cli import options as o


def compare(
    data: o.Data = "digits",
    methods: Annotated[str, typer.Option(help='A preset (quick, all) or specs: "ce,ldam-drw(scale=20)".')] = "quick",
    seeds: Annotated[int, typer.Option(help="How many seeds; they vary initialisation and order.")] = 3,
    metric: Annotated[str, typer.Option(help="balanced_accuracy, accuracy or macro_f1.")] = "balanced_accuracy",
    val: o.Val = None,
    ratio: o.Ratio = None,
    profile: o.Profile = "exp",
    epochs: o.Epochs = None,
    label: o.Label = None,
    model: o.Model = "auto",
    budget: Annotated[str | None, typer.Option(help="Begin no further run after this time: 90s, 10m, 1h.")] = None,
    out: o.Out = None,
    device: o.Device = "cpu",
    jobs: Annotated[int | None, typer.Option(help="Runs at a time (by default one per core).")] = None,
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> int:
    """Compare methods on DATA with several seeds: a ranked table, intervals and a verdict.

    Without arguments: scikit-learn's handwritten digits made long-tailed; no network, about a minute.

    Example: longtail compare embeddings.npz --methods quick --seeds 3 --out runs/embeddings
    """
    from longtail.comparison import prepare
    from longtail.comparison.execute import check_limits

    limit = o.seconds(budget)
    check_limits(jobs, limit)
    wanted: dict[str, Any] = {
        "methods": methods, "seeds": seeds, "metric": metric, "val": val, "ratio": ratio, "profile": profile,
        "epochs": epochs, "label": label, "model": model, "out": out, "device": o.device(device),
    }  # fmt: skip
    if dry_run:
        return _plan(prepare(data, **wanted), seeds, metric, jobs, json)
    return _run(data, wanted, jobs, limit, json)


def _run(data: str, wanted: dict[str, Any], jobs: int | None, limit: float | None, json: bool) -> int:
    from longtail import comparison
    from longtail.cli import screen

    out = wanted.pop("out")
    prepared = comparison.prepare(data, **wanted, out=out)
    bar, task = screen.progress(f"comparing on {prepared.splits.name}")

    def planned(plan: comparison.Plan) -> None:
        done = sum(t.finished for t in plan.tasks)
        bar.update(task, total=len(plan.tasks), completed=done)

    def ended(outcome: comparison.Outcome) -> None:
        bar.advance(task)
        if outcome.error is not None:
            where = f"{outcome.task.spec}, seed {outcome.task.seed}"
            bar.console.print(f"FAILED {where}: {outcome.error}", markup=False, style="red")

    with bar:
        result = comparison.compare_prepared(
            prepared, seeds=wanted["seeds"], metric=wanted["metric"], jobs=jobs, budget=limit,
            on_plan=planned, on_outcome=ended,
        )  # fmt: skip
    if json:
        print(jsonlib.dumps(result.summary, indent=2))
    else:
        screen.comparison(result.summary)
        files = f"Files: {result.out}/comparison.json, .csv, .md{_picture(result)}"
        screen.console().print(files, style="dim", markup=False)
    return 0 if result.ok else 1


def _picture(result: Any) -> str:
    drawn = (result.out / "recall.svg").exists()
    return " and recall.svg" if drawn else " (recall.svg needs longtail[report])"


def _plan(prepared: Any, seeds: int, metric: str, jobs: int | None, json: bool) -> int:
    from longtail.comparison.estimate import estimate

    found = estimate(prepared, seeds, metric, jobs)
    if json:
        print(jsonlib.dumps(found, indent=2))
        return 0
    print(f"data      {found['data']}: {found['train']} training and {found['test']} test examples, "
          f"{found['classes']} classes")  # fmt: skip
    print(f"methods   {', '.join(found['methods'])}")
    print(f"runs      {found['runs']} with {found['seeds']} seeds ({found['finished']} finished, {found['trainings']} "
          f"to train, the others share a training), {found['epochs']} epochs, {found['jobs']} at a time")  # fmt: skip
    print(f"time      about {found['seconds']:.0f} s (from two epochs of ce measured now)")
    print(f"folder    {found['out']}")
    return 0
