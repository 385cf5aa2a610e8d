"""`longtail report`: one page of a comparison, or of one run, that people read, print and send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longtail.cli import options as o
from longtail.cli.terminal import print_json, print_lines


def report(
    runs: Annotated[Path, typer.Argument(metavar="RUNS", help="The folder of a comparison, or of one run of train.")],
    out: Annotated[Path | None, typer.Option(help="The page to write. Default: report.html in RUNS.")] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Codes of findings to leave out, as in LT003,LT008; the others stay.")
    ] = None,
    *,
    json: o.Json = False,
) -> int:
    """Write one page of HTML of a comparison: the verdict, differences, ranking, recall by class, terms.

    It is one file without scripts that needs no network: send it, print it, read it on a phone or by ear.

    Example: longtail report runs/claims --out claims.html
    """
    from longtail.report import page
    from longtail.report.page import files

    page.check_installed()
    written, size = files.write_report(runs, out, _codes(ignore))
    if json:
        print_json({"report": str(written), "bytes": size})
    else:
        print_lines(f"Files: {written} ({size / 1000:,.0f} kB)")
    return 0


def _codes(ignore: str | None) -> frozenset[str]:
    if ignore is None:
        return frozenset()
    from longtail.inspection.checks import checked_codes  # imports torch, which a report does without

    return checked_codes(ignore.split(","))
