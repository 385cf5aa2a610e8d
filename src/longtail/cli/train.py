"""`longtail train`: one method, one seed, one run folder."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.sharing import DATA, TRAINING, recipe, taking
from longtail.cli.terminal import say


@taking(reading=DATA, training=TRAINING)
def train(
    data: o.Data = "digits",
    method: Annotated[str, typer.Option(help='A spec such as "ldam-drw" or "ldam-drw(scale=20)".')] = "logit-adjusted",
    seed: Annotated[int, typer.Option(help="Seed of initialisation and order.")] = 0,
    *,
    reading: dict[str, Any],
    training: dict[str, Any],
    evaluations: o.Evaluations = 1,
    out: o.Out = None,
    device: o.Device = "cpu",
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> int:
    """Train one method on DATA and leave a run folder with the model; the same command resumes.

    longtail predict takes that folder. A test part is held out as in compare.

    Example: longtail train photos/ --method "ldam-drw(scale=20)" --out runs/model
    """
    from longtail.comparison.execute import check_limits
    from longtail.comparison.plan import writable
    from longtail.data import load
    from longtail.engine import Recipe
    from longtail.methods import method as resolve
    from longtail.methods.recipes import default_recipe
    from longtail.methods.train import Fit
    from longtail.places import apart
    from longtail.report import weights

    if not 0 <= seed < 2**63:
        raise ValueError(f"--seed must be >= 0{' and below 2^63' if seed > 0 else ''}, got {seed}; 0 is usual")
    apart(out or Path("runs"), data)
    apart(out or Path("runs"), reading["data_dir"])
    check_limits(None, None, evaluations)
    chosen, where, changes = resolve(method), o.device(device), recipe(training)
    Recipe(**{k: v for k, v in changes.items() if v is not None})
    splits = load(data, **reading)
    shared = default_recipe(splits, **changes)
    shared.check(splits.train)
    folder = out or Path("runs") / f"{splits.name}-{chosen.key}" / f"seed-{seed}"
    fit = Fit(chosen, splits, seed=seed, recipe=shared, folder=folder, device=where, evaluations=evaluations)
    if dry_run:
        plan = {"method": chosen.spec, "seed": seed, "epochs": shared.epochs, "data": splits.name, "out": str(folder)}
        text = f"would train {chosen.spec}, seed {seed}, for {shared.epochs} epochs on {splits.name} into {folder}"
        say(jsonlib.dumps(plan, indent=2) if json else text)
        return 0
    writable(folder)
    _watch(fit, shared.epochs)
    picture = weights.leave(folder)
    if json:
        print(jsonlib.dumps(fit.run.result, indent=2))
        return 0
    scores = fit.run.scores
    say(f"{chosen.spec} on {splits.name}, seed {seed}: balanced accuracy {100 * scores['balanced_accuracy']:.1f} %, "
        f"accuracy {100 * scores['accuracy']:.1f} %, {fit.run.result['seconds']:.1f} s")  # fmt: skip
    say(f"Files: {folder}/run.json, model.safetensors, predictions.safetensors" + (", weights.svg" if picture else ""))
    return 0


def _watch(fit: object, epochs: int) -> None:
    from longtail.cli import screen
    from longtail.methods.train import Fit

    assert isinstance(fit, Fit)
    bar, task = screen.progress(f"training {fit.method.spec}")
    with bar:
        for record in fit:
            text = f"{fit.method.spec}  loss {record['loss']:.3f}"
            bar.update(task, total=epochs, completed=record["epoch"], description=text)
