"""`longtail train`: one method, one seed, one run folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longtail.cli import decision_options as d
from longtail.cli import options as o
from longtail.cli.option_groups import DATA, TRAINING, data_options, recipe_options, with_options
from longtail.cli.terminal import print_json, print_lines

if TYPE_CHECKING:
    from longtail.cli.progress import Display
    from longtail.posthoc.decisions import Decision
    from longtail.runs.train import Fit

log = logging.getLogger(__name__)


@with_options(reading=DATA, training=TRAINING)
def train(
    data: o.Data = "digits",
    method: Annotated[
        str | None,
        typer.Option(
            help='A spec such as "ldam-drw(scale=20)", or sklearn:package.Class(arg=1). Default: logit-adjusted; of a '
            "--task the reference."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of initialisation and order.")] = 0,
    task: o.Task = None,
    every_row: Annotated[
        bool, typer.Option("--all", help="Train on every row, once the choice is made: nothing is held out or scored.")
    ] = False,
    comparison: Annotated[
        Path | None,
        typer.Option(help="With --all: the folder of the comparison that chose the method; its estimate is quoted."),
    ] = None,
    *,
    reading: dict[str, Any],
    training: dict[str, Any],
    evaluations: o.Evaluations = 1,
    select: o.Select = "last",
    objective: d.Objective = None,
    cost: d.Cost = None,
    positive: d.Positive = None,
    calibrate: d.Calibrate = None,
    tracker: o.Tracker = None,
    out: o.Out = None,
    device: o.Device = "cpu",
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> int:
    """Train one method on DATA and leave a run folder with the model; the same command resumes.

    longtail predict takes that folder. A test part is held out as in compare, unless --all trains on every row: the
    model has no scores of its own then, and longtail evaluate scores it on new rows. --comparison runs/photos quotes
    what that comparison measured of the method, and trains by its recipe. With --objective or --cost the model decides
    by them: thresholds are chosen on the validation rows (--val) once it is trained, and saved with it; another
    --objective later chooses anew, without another training.

    Example: longtail train photos/ --method "ldam-drw(scale=20)" --out runs/model
    """
    from longtail.catalogue.choose import without_effect
    from longtail.catalogue.search import most_trainings
    from longtail.cli import progress
    from longtail.cli.train_all import announced, prepared
    from longtail.comparison.execute import check_limits
    from longtail.comparison.output_folder import make_output_folder
    from longtail.comparison.tuned_rows import searched
    from longtail.engine import Recipe
    from longtail.facts.paths import check_not_data, named_path
    from longtail.learners.probe_protocols import check_used, chosen_probes
    from longtail.methods import method as resolve
    from longtail.report import run_plots
    from longtail.report.printable import shown
    from longtail.report.rows import percent
    from longtail.report.searches import about_search
    from longtail.report.small_network import small_network
    from longtail.runs import model_decision
    from longtail.runs.expected import write as write_expected
    from longtail.runs.judged import decided_scores
    from longtail.runs.pretrained import pretrained_body
    from longtail.runs.selected import check_select
    from longtail.runs.trackers import named
    from longtail.runs.train import Fit

    sent_to = named(tracker)
    if not 0 <= seed < 2**63:
        raise ValueError(f"--seed must be >= 0{' and below 2^63' if seed > 0 else ''}, got {seed}; 0 is usual")
    check_not_data(out or Path("runs"), named_path(data))
    for option in ("data_dir", "human_labels", "unlabeled", "train_list", "val_list", "test_list"):
        check_not_data(out or Path("runs"), reading[option])
    check_limits(None, None, evaluations)
    check_select(select)
    chosen, where, changes = resolve(_method(method, task)), o.device(device), recipe_options(training)
    if changes["pretrained"] is not None:
        changes["pretrained"] = pretrained_body(changes["pretrained"])
    probed = Recipe(**{k: v for k, v in changes.items() if v is not None})
    if task is not None and chosen.task != task:
        raise ValueError(
            f"task (--task) must be that of the method, {chosen.task} for {chosen.spec}, got {task!r}; leave it out"
        )
    check_used(probed.probe, probed.protocol, chosen.task)
    full = any(one.full for one in chosen_probes(changes["probe"], changes["protocol"]))
    with progress.display(f"training {shown(chosen.spec)}", "epochs") as display:
        options = {**data_options(reading), **({"keep_cut": True} if full else {})}
        options |= {} if reading["backbone"] is None else {"device": where}
        splits, shared, expected = prepared(
            chosen,
            data,
            options,
            changes,
            every_row=every_row,
            comparison=comparison,
            select=select,
            decides={"cost": cost, "objective": objective, "positive": positive},
        )
        shared.check(splits.train)
        end = "-all" if every_row else ""
        folder = out or Path("runs") / f"{splits.name}-{chosen.key}{end}" / f"seed-{seed}"
        further: dict[str, Any] = {"device": where, "evaluations": evaluations, "select": select, "tracker": sent_to}
        fit = Fit(chosen, splits, seed=seed, recipe=shared, folder=folder, calibrate=calibrate, **further)
        for note in without_effect([chosen], fit.recipe):
            log.warning("%s", note)
        decision = model_decision.asked(
            splits.classes, splits.class_counts, cost=cost, goal=objective, positive=positive
        )
        model_decision.check(decision, chosen, splits)
        if not dry_run:
            make_output_folder(folder)
            _show_progress(fit, display)
            run = model_decision.attach(fit.run, decision)
            if expected is not None:
                write_expected(folder, expected)
    small = small_network(splits.facts, shared.to_json())
    if dry_run:
        plan = {"method": chosen.spec, "seed": seed, "epochs": shared.epochs, "data": splits.name, "out": str(folder)}
        plan |= {} if calibrate is None else {"calibrate": calibrate}
        plan |= {"every_row": True, "expected": expected} if every_row else {}
        if json:
            print_json(plan)
        else:
            most = most_trainings(chosen.search, fit.recipe, splits.train)
            each = f" in each of at most {most} trainings" if most > 1 else ""
            and_then = "" if calibrate is None else f", calibrated ({calibrate})"
            task = f"{chosen.spec}, seed {seed}, for {shared.epochs} epochs{each}{and_then}"
            rows = f"every row of {splits.name}" if every_row else splits.name
            print_lines(f"would train {task} on {rows} into {folder}")
            if small is not None:
                print_lines(small)
        return 0
    pictures = run_plots.write_plots(folder)
    if json:
        further = {} if expected is None else {"expected": expected}
        further |= {} if decision is None or every_row else {"decided_scores": decided_scores(run)}
        print_json({**run.result, **further})
        return 0
    drawn = "".join(f", {picture.name}" for picture in pictures)
    model = "" if "model" in run.result else "model.safetensors, "
    if every_row:
        said = announced(splits, expected)
    else:
        scores = run.scores if decision is None else decided_scores(run)
        said = f"balanced accuracy {percent(scores['balanced_accuracy'])} %, accuracy {percent(scores['accuracy'])} %"
        said += "" if decision is None else " as decided below"
    print_lines(
        f"{chosen.spec} on {splits.name}, seed {seed}: {said}, {run.result['seconds']:.1f} s\n"
        f"Files: {folder}/run.json, {model}predictions.safetensors{drawn}"
    )
    if small is not None:
        print_lines(small)
    if "model" in run.result:
        why = shown(run.result["model"], longest=200)
        print_lines(f"No model, so that longtail predict cannot take this folder: {why}")
    if decision is not None:
        print_lines(_decides(decision))
    if calibrate is not None:
        print_lines(f"Calibrated: {run.result['calibration']['words']}")
    if (search := searched([run.result])) is not None:
        print_lines(about_search(chosen.spec, search))
    return 0


def _method(named: str | None, task: str | None) -> str:
    """The method that is named, else the usual one or that which a task has for its reference."""
    from longtail.catalogue.tasks import TASKS

    if named is not None:
        return named
    return TASKS[task].reference if task in TASKS else "logit-adjusted"


def _decides(decision: Decision) -> str:
    """The rule of a decision, and what it is worth."""
    from longtail.posthoc.decisions.words import of_found

    found = decision.found
    return f"Decides: {decision.words}" + ("" if found is None else f"\n  {of_found(found)}")


def _show_progress(fit: Fit, display: Display) -> None:
    """Train, and show the epochs' losses."""
    from longtail.catalogue.search import most_trainings
    from longtail.runs.search import CANDIDATE

    epochs, finished = sum(stage.epochs for stage in fit.method.stages(fit.recipe)), 0
    total = epochs * most_trainings(fit.method.search, fit.recipe, fit.splits.train)
    display.prepared("in the first epoch", total)
    for record in fit:
        # after a resume the first record counts the epochs before it
        finished = max(finished + 1, record["epoch"])
        if fit.method.search is None:
            display.update(f"loss {record['loss']:.3f}", finished, total)
        else:  # after the candidates come the epochs of the chosen one, which are not trained again
            finished = min(finished, total) if record["stage"].startswith(CANDIDATE) else total
            display.update(f"{record['stage']}, loss {record['loss']:.3f}", finished, total)
