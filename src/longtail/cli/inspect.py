"""`longtail inspect`: the shape of the imbalance and what is wrong with the data, before anything is trained."""

from __future__ import annotations

import json as jsonlib
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.option_groups import DATA, as_written, taking
from longtail.cli.terminal import say

FailOn = Annotated[
    str | None,
    typer.Option(
        help="Exit with 1 where one of these holds: duplicates, leaks, conflicts, group-leaks, unreadable, twins, "
        "constant, leaking-columns, identifiers, singletons (or as in duplicates>10), ratio>100, gini>0.8, min-count<5."
    ),
]
SVG = Annotated[Path | None, typer.Option("--svg", help="Write the class sizes as a picture to this file.")]


@taking(reading=DATA)
def inspect(
    data: o.Data = "digits",
    reading: Any = None,
    fail_on: FailOn = None,
    svg: SVG = None,
    json: o.Json = False,
) -> int:
    """Show how imbalanced DATA are, what is wrong with them, what cannot be measured, and what to try and why.

    Images that cannot be decoded are left out and reported, whether --skip-bad is given or not.

    Example: longtail inspect photos/ --fail-on "duplicates,leaks,min-count<5"
    """
    from longtail.inspection import rules

    wanted = rules.parse_rules(fail_on)
    if svg is not None:
        from longtail.facts.paths import apart

        _check_writable(svg)
        apart(svg, data, "--svg", inside=True)
    found = _inspected(data, reading)
    found["broken_rules"] = rules.broken_rules(wanted, found)
    if svg is not None:
        _draw(svg, found)
    if json:
        print(jsonlib.dumps(found, indent=2, allow_nan=False))
    else:
        _show(found)
    for line in found["broken_rules"]:
        say(f"longtail: rule broken: {line}", error=True)
    return 1 if found["broken_rules"] else 0


def _inspected(data: str, reading: dict[str, Any]) -> dict[str, Any]:
    from longtail.data import load, pool
    from longtail.data.read.dispatch import HUB, NAMES
    from longtail.data.read.tables.sources import is_table
    from longtail.facts import profiles
    from longtail.inspection import inspection

    named = as_written(data, reading)
    if data in NAMES or reading["data_dir"] is not None or reading["profile"] not in profiles.PROFILES:
        return inspection(load(data, **reading), data=named)  # or refused before anything is read
    shaping = {key: reading[key] for key in ("ratio", "profile", "val")}
    options = {key: value for key, value in reading.items() if key not in (*shaping, "data_dir")}
    if data.startswith(HUB) or (Path(data).is_dir() and not is_table(Path(data))):
        options["skip_bad"] = True
    rows = pool(data, **options)
    return inspection(rows, load(rows, **shaping), data=named)


def _show(found: dict[str, Any]) -> None:
    from rich.text import Text

    from longtail.cli import comparison_output
    from longtail.report import recall_plot, tables

    out, blocks = comparison_output.console(), comparison_output.draws_blocks()

    def line(text: str, style: str = "") -> None:
        # what a class is called is neither markup nor an emoji nor an order to the terminal
        out.print(Text(_shown(text, blocks), style=style))

    line(found["headline"], "bold")
    out.print(Text(recall_plot.bars(found["classes"], found["class_counts"], ascii_only=not blocks)))
    members = {g: found["groups"][g] for g in ("many", "medium", "few")}
    sizes = ", ".join(f"{len(names)} {g}" for g, names in members.items() if names)
    rule = tables.group_rule(found["groups"]["rule"], found["class_counts"])
    line(f"Gini coefficient {found['gini']:.3g}; {sizes + ': ' if sizes else ''}{rule}", "dim")
    for note in found["notes"]:
        line(note, "dim")
    if found["findings"]:
        line("Found", "bold")
    for text in found["findings"]:
        line(f"- {text}")
    line("What to do, in this order", "bold")
    for number, one in enumerate(found["advice"], start=1):
        line(f"{number}. {one['try'][0].upper()}{one['try'][1:]}: {one['why']}.")
        if one["command"]:  # on a line of its own, however long, so that it can be copied
            out.print(Text(f"   {_shown(one['command'], blocks)}", style="bold"), soft_wrap=True)


def _shown(text: str, blocks: bool) -> str:
    from longtail.report.printable import shown

    return shown(text, longest=len(text) * 10, ascii_only=not blocks)


def _check_writable(svg: Path) -> None:
    """Before the data are read."""
    folder = svg.parent
    if svg.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"--svg must name a file in a folder that can be written, got {str(svg)!r}; make the folder")


def _draw(svg: Path, found: dict[str, Any]) -> None:
    from longtail.report import recall_plot

    place = {name: j for j, name in enumerate(found["classes"])}
    groups = {g: [place[name] for name in found["groups"][g]] for g in ("many", "medium", "few")}
    drawn = recall_plot.bars_svg(
        found["classes"], found["class_counts"], found["headline"], groups, rule=found["groups"]["rule"]
    )
    temporary = svg.with_name(f"{svg.name}.tmp")
    temporary.write_text(drawn, encoding="utf-8")
    os.replace(temporary, svg)
