"""`longtail methods`: the list of methods."""

from __future__ import annotations

from typing import Annotated

import typer

from longtail.cli import options as o
from longtail.cli.terminal import print_json


def methods(
    task: Annotated[
        str | None,
        typer.Option(help="Only methods of this task: supervised, semi-supervised, partial, self-supervised."),
    ] = None,
    json: o.Json = False,
) -> int:
    """List every method: key, paper, year, knobs, and what it is in one line.

    Example: longtail methods --task supervised
    """
    from longtail.methods import overview

    rows = overview(task)
    if json:
        print_json(rows)
        return 0
    from rich.table import Table

    from longtail.catalogue.describe import families
    from longtail.cli import comparison_output

    out = comparison_output.console()
    widths = {name: max(len(row[name]) for row in rows) for name in ("method", "paper")}
    for words, family in families(rows).items():
        table = Table(
            box=None, pad_edge=False, header_style="dim", title=words, title_style="bold", title_justify="left"
        )
        for name in ("method", "paper", "what it is"):
            table.add_column(name, no_wrap=name in widths, min_width=widths.get(name))
        for row in family:
            table.add_row(row["method"], row["paper"], row["summary"])
        out.print(table)
        out.print()
    out.print(
        "Presets: quick, all (of the task of the data), practice (what a practitioner tries first), classical "
        "(forests, neighbours, kernels, resampling, balanced ensembles), noisy (for wrong labels), estimators (trees "
        "and logistic, which quick and all contain for tables), features (classifiers on embeddings as they are). "
        "sklearn:package.module.Class(arg=value) names a classifier of another package. "
        "longtail explain METHOD shows the equation, the knobs and the paper.",
        style="dim",
    )
    return 0
