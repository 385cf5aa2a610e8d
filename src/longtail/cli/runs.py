"""`longtail runs`: the run folders below a folder, and what finished ones no longer need."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longtail.cli import options as o
from longtail.cli.terminal import print_json, print_lines

if TYPE_CHECKING:
    from longtail.runs.inventory import Entry

UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


def runs(
    folder: Annotated[Path, typer.Argument(help="A folder that holds runs, or one run.")] = Path("runs"),
    clean: Annotated[
        bool, typer.Option("--clean", help="Show what finished runs no longer need: stages and checkpoints.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --clean: remove it.")] = False,
    json: o.Json = False,
) -> int:
    """List the runs below FOLDER: method, data, seed, state, balanced accuracy, size and date.

    A finished run is checked: every file is compared with its checksum. --clean shows how much the stages and
    checkpoints of finished runs take, and --clean --yes removes them: results and models stay, and the commands that
    made them still find them finished. Unfinished, damaged and running ones, and files that longtail did not make,
    are never touched. Stages that a comparison shares go when all of its runs are finished; a method that is added
    later trains them anew.

    Example: longtail runs runs/ --clean
    """
    from longtail.runs.inventory import entries

    if yes and not clean:
        raise ValueError("--yes removes what --clean shows; give both, or leave it out")
    found = entries(folder)
    freed, problems = _cleaned(found) if yes else ({}, [])
    if json:
        listed = [{**entry.to_json(), **({"removed": freed.get(entry.folder, 0)} if yes else {})} for entry in found]
        print_json({"folder": str(folder), "runs": listed, "freed": sum(freed.values()), "problems": problems})
        return 1 if problems else 0
    if not found:
        print_lines(f"no runs below {folder}")
        return 0
    if yes:
        for entry in found:
            if freed.get(entry.folder):
                print_lines(f"{size(freed[entry.folder])} freed in {entry.folder}")
        print_lines(f"{size(sum(freed.values()))} freed; {_kept(found)}")
    elif clean:
        for entry in found:
            if entry.files:
                print_lines(
                    f"{size(entry.freed)} in {entry.folder} ({len(entry.files)} file{'s' * (len(entry.files) > 1)})"
                )
        total = sum(entry.freed for entry in found)
        print_lines(f"{size(total)} could be freed; {_kept(found)}" + ("; --clean --yes removes it" if total else ""))
    else:
        _table(found)
    for problem in problems:
        print_lines(f"longtail: note: {problem}", error=True)
    return 1 if problems else 0


def _cleaned(found: list[Entry]) -> tuple[dict[Path, int], list[str]]:
    """Clean what can be; return the bytes freed by folder, and a sentence on each that could not be."""
    from longtail.runs.inventory import clean

    freed: dict[Path, int] = {}
    problems: list[str] = []
    for entry in found:
        try:
            freed[entry.folder] = clean(entry)
        except ValueError as error:
            problems.append(str(error).partition(";")[0])
        except OSError as error:
            problems.append(f"{error.filename or entry.folder} cannot be removed ({error.strerror})")
    return freed, problems


def _kept(found: list[Entry]) -> str:
    others = [entry for entry in found if entry.state != "finished"]
    if not others:
        return "every run is finished"
    return f"{len(others)} that {'is' if len(others) == 1 else 'are'} not finished or damaged stay as they are"


def _table(found: list[Entry]) -> None:
    from longtail.facts.messages import visible
    from longtail.report.rows import percent
    from longtail.report.text_table import aligned

    def score(entry: Entry) -> str:
        if entry.scores is None:
            return "every row" if entry.every_row else ""
        return percent(entry.scores["balanced_accuracy"])

    lines = [["folder", "method", "data", "seed", "state", "balanced acc. %", "size", "changed"]]
    for entry in found:
        named = [entry.method or "(shared stages)", entry.data or "", "" if entry.seed is None else str(entry.seed)]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.changed))
        cells = [str(entry.folder), *named, entry.state, score(entry), size(entry.size), when]
        lines.append([visible(cell) for cell in cells])
    print_lines("\n".join(aligned(lines, "<<<><>><")))
    for entry in found:
        if entry.reason is not None:
            print_lines(f"{entry.folder}: {entry.reason}")
    total, free = sum(entry.size for entry in found), sum(entry.freed for entry in found)
    more = f"; {size(free)} of it are checkpoints and stages of finished runs (--clean)" if free else ""
    runs = sum(entry.method is not None for entry in found)
    print_lines(f"{runs} run{'s' * (runs != 1)}, {size(total)}{more}")


def size(count: int) -> str:
    """Bytes for a reader."""
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"
