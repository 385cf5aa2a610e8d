"""The options of tables that several verbs share; read as `options`."""

from __future__ import annotations

from typing import Annotated

import typer

Time = Annotated[
    str | None,
    typer.Option(
        help="Column of times (dates or numbers): train on the past, test on the latest quarter, and with --val "
        "validate on the latest rows before it. It is no feature."
    ),
]
Missing = Annotated[
    str | None,
    typer.Option(help='Cells that mean missing, beside empty ones: "?,n/a". A model reads new rows alike.'),
]
Text = Annotated[
    list[str] | None,
    typer.Option("--text", help="A column whose words count (by default: plainly text); may be repeated."),
]
Category = Annotated[
    list[str] | None,
    typer.Option("--category", help="A column of categories, whatever it looks like (zip codes); may be repeated."),
]
Worksheet = Annotated[str | None, typer.Option(help="Sheet of an .xlsx file (by default the first).")]
Delimiter = Annotated[str | None, typer.Option(help='Between the columns of a text file (by default "," or a tab).')]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the first line names the columns (by default: detected)."),
]
