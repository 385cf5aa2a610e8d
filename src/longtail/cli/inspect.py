"""`longtail inspect`: how imbalanced the data are and what is wrong with them, before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.option_groups import DATA, data_options, data_words, with_options
from longtail.cli.terminal import print_json, print_lines

FailOn = Annotated[
    str | None,
    typer.Option(
        help="Exit with 1 where one of these holds: duplicates, leaks, conflicts, group-leaks, unreadable, twins, "
        "constant, leaking-columns, identifiers, singletons (or as in duplicates>10), ratio>100, gini>0.8, min-count<5."
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        help="The folder of a model (the --out of longtail train) that predicts the rows without labels: how far their "
        "class shares are from the labels'."
    ),
]
Ignore = Annotated[str | None, typer.Option(help="Codes of findings to leave out, as in LT003,LT008; the others stay.")]
SVG = Annotated[Path | None, typer.Option("--svg", help="Write the class sizes as a picture to this file.")]


@with_options(reading=DATA)
def inspect(
    data: o.Data = "digits",
    reading: Any = None,
    model: Model = None,
    fail_on: FailOn = None,
    ignore: Ignore = None,
    svg: SVG = None,
    json: o.Json = False,
) -> int:
    """Show how imbalanced DATA are, what is wrong with them, what cannot be measured, and what to try and why.

    Every finding has a code that stays the same (LT004); --json has how it is detected, why it matters and what to do.
    Images that cannot be decoded are skipped and reported, whether --skip-bad is given or not.

    Example: longtail inspect photos/ --fail-on "duplicates,leaks,min-count<5"

    Example: longtail inspect photos/ --unlabeled more_photos/ --model runs/model
    """
    from longtail.inspection import rules
    from longtail.inspection.checks import checked_codes
    from longtail.runs.predictor import Predictor

    broken_if = rules.parse_rules(fail_on)
    codes = checked_codes([] if ignore is None else ignore.split(","))
    if svg is not None:
        _check_can_draw(svg, data)
    result = _inspect(data, reading, None if model is None else Predictor.load(model), codes)
    result["broken_rules"] = rules.broken_rules(broken_if, result)
    if svg is not None:
        _draw(svg, result)
    if json:
        print_json(result)
    else:
        _show(result)
    for line in result["broken_rules"]:
        print_lines(f"longtail: rule broken: {line}", error=True)
    return 1 if result["broken_rules"] else 0


def _inspect(data: str, reading: dict[str, Any], model: Any, ignore: frozenset[str]) -> dict[str, Any]:
    from longtail.data import load, pool
    from longtail.data.read.dispatch import NAMES, kind_of
    from longtail.data.read.options import ALLOWED, OF_CIFAR
    from longtail.data.simulate import SIMULATIONS
    from longtail.facts import profiles
    from longtail.inspection import inspection

    named = data_words(data, reading)
    reading = data_options(reading)
    of_cifar = any(reading[name] is not None for name in OF_CIFAR)
    if data in NAMES or of_cifar or reading["profile"] not in profiles.PROFILES:
        return inspection(
            load(data, **reading), data=named, model=model, ignore=ignore
        )  # which refuses bad options before reading
    shaping = {
        key: reading[key] for key in ("ratio", "profile", "largest", "val", "drop_rows", "relabel", *SIMULATIONS)
    }
    options = {key: value for key, value in reading.items() if key not in (*shaping, *OF_CIFAR)}
    if "skip_bad" in ALLOWED[kind_of(data)]:
        options["skip_bad"] = True
    rows = pool(data, **options)
    return inspection(rows, load(rows, **shaping), data=named, model=model, ignore=ignore)


def _show(result: dict[str, Any]) -> None:
    from rich.text import Text

    from longtail.cli import comparison_output
    from longtail.report import class_shares, class_size_plot, label_noise, tables

    out, blocks = comparison_output.console(), comparison_output.draws_blocks()

    def line(text: str, style: str = "") -> None:
        # a class name is neither markup nor an emoji nor a control sequence
        out.print(Text(_visible(text, blocks), style=style))

    line(result["headline"], "bold")
    out.print(Text(class_size_plot.text(result["classes"], _sizes(result), ascii_only=not blocks)))
    members = {g: result["groups"][g] for g in ("many", "medium", "few")}
    sizes = ", ".join(f"{len(names)} {g}" for g, names in members.items() if names)
    rule = tables.group_rule(result["groups"]["rule"], result["class_counts"])
    gini = "unknown" if result["gini"] is None else f"{result['gini']:.3g}"
    line(f"Gini coefficient {gini}; {sizes + ': ' if sizes else ''}{rule}", "dim")
    for note in result["notes"]:
        line(note, "dim")
    if (noise := result["label_noise"]) is not None:
        line("Wrong labels by class", "bold")
        for text in label_noise.table(noise, ascii_only=not blocks):
            out.print(Text(text), soft_wrap=True)
        for text in label_noise.sentences(noise):
            line(text, "dim")
    if (shares := result["class_shares"]) is not None:
        line(f"Class shares of the {shares['rows']:,} rows without labels, by the model", "bold")
        for text in class_shares.table(shares, result["classes"], ascii_only=not blocks):
            out.print(Text(text), soft_wrap=True)
        for text in class_shares.sentences(shares, result["classes"]):
            line(text, "dim")
    if result["findings"]:
        line("Found", "bold")
    for check in result["checks"]:
        for text in check["found"]:
            line(f"- {check['code']} {text}")
    if result["unknown"]:
        line("Cannot be known", "bold")
    for text in result["unknown"]:
        line(f"- {text}")
    line("What to do, in this order", "bold")
    for number, step in enumerate(result["advice"], start=1):
        line(f"{number}. {step['try'][0].upper()}{step['try'][1:]}: {step['why']}.")
        if step["command"]:  # on a line of its own, however long, so that it can be copied
            out.print(Text(f"   {_visible(step['command'], blocks)}", style="bold"), soft_wrap=True)


def _sizes(result: dict[str, Any]) -> list[float]:
    """The class sizes, rounded where they are only expected."""
    counts: list[float] = result["class_counts"]
    return counts if result["counts_known"] else [round(n, 1) for n in counts]


def _visible(text: str, blocks: bool) -> str:
    from longtail.report.printable import shown

    return shown(text, longest=len(text) * 10, ascii_only=not blocks)


def _check_can_draw(svg: Path, data: str) -> None:
    """Refuse a picture that cannot be drawn or written, before the data are read."""
    from longtail.facts.paths import check_not_data, named_path
    from longtail.report import svg_figure

    if not svg_figure.available():
        raise ValueError("--svg needs matplotlib, which is not installed; install longtail[report] or leave out --svg")
    folder = svg.parent
    if svg.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"--svg must name a file in a folder that can be written, got {str(svg)!r}; make the folder")
    check_not_data(svg, named_path(data), "--svg", inside=True)


def _draw(svg: Path, result: dict[str, Any]) -> None:
    from longtail.facts.files import write_text
    from longtail.report import class_size_plot

    index = {name: j for j, name in enumerate(result["classes"])}
    groups = {g: [index[name] for name in result["groups"][g]] for g in ("many", "medium", "few")}
    drawn = class_size_plot.svg(
        result["classes"], _sizes(result), result["headline"], groups, rule=result["groups"]["rule"]
    )
    assert drawn is not None  # it was checked that it can be drawn
    write_text(svg, drawn)
