"""`longtail labels`: which labels of the training rows are probably wrong."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.option_groups import DATA, TRAINING, data_options, data_words, recipe_options, with_options
from longtail.cli.terminal import Interrupted, print_json, print_lines

Out = Annotated[Path, typer.Option(help="The file of suspects, for --drop and --relabel.")]
Sheet = Annotated[Path | None, typer.Option(help="Write the worst suspects as pictures to this .html (images).")]
Top = Annotated[int | None, typer.Option(help="Write only so many suspects, the worst (all; pictures: 60).")]
Work = Annotated[Path | None, typer.Option(help="Folder for the trainings; the same command goes on there.")]


@with_options(reading=DATA, training=TRAINING)
def labels(
    data: o.Data = "digits",
    method: Annotated[
        str | None, typer.Option(help="What is trained: a spec. Default: ce on images, else logistic.")
    ] = None,
    folds: Annotated[int, typer.Option(help="How many trainings; each leaves out one part of the rows.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the folds, of initialisation and of order.")] = 0,
    *,
    reading: dict[str, Any],
    training: dict[str, Any],
    out: Out = Path("suspects.csv"),
    sheet: Sheet = None,
    top: Top = None,
    work: Work = None,
    device: o.Device = "cpu",
    json: o.Json = False,
) -> int:
    """Find the training rows of DATA whose label is probably wrong, and say of which classes nothing can be said.

    The test part is neither read nor changed. Look at the suspects, delete the lines that are right (or write 0 into a
    column use), and pass the file to train, compare or tune: --drop leaves these rows out, --relabel gives them the
    likely label. A row is counted from 0 over all rows of DATA; images have the name of their file, too.

    Example: longtail labels photos/ --out suspects.csv --sheet suspects.html

    Example: longtail compare photos/ --drop suspects.csv
    """
    from longtail.cli.progress import display
    from longtail.facts import checks
    from longtail.facts.files import write_text
    from longtail.facts.paths import check_not_data, named_path
    from longtail.labels import suspects
    from longtail.labels.sheet import TOP
    from longtail.labels.sheet import sheet as page

    if top is not None:
        checks.whole("top (--top)", top, "leave it out to write all suspects", low=1)
    for option, path in (("--out", out), ("--sheet", sheet)):
        if path is not None:
            _check_file(path, option)
            check_not_data(path, named_path(data), option)
    if sheet is not None and sheet.resolve() == out.resolve():
        raise ValueError(f"--sheet must be another file than --out, got {str(sheet)!r} for both; name two files")
    options = {**data_options(reading), **recipe_options(training)}
    with display("looking for wrong labels", "trainings") as screen:
        screen.prepared("training", folds)
        try:
            result = suspects(
                data, method=method, folds=folds, seed=seed, work=work, device=o.device(device),
                pictures=sheet is not None,
                **{name: value for name, value in options.items() if value is not None and value is not False},
            )  # fmt: skip
        except KeyboardInterrupt:
            if work is not None:
                raise
            raise Interrupted(
                "interrupted, and no training is kept; with --work FOLDER the same command goes on"
            ) from None
        screen.update("trained", folds, folds)
    pictures = None if sheet is None else page(result, top or TOP)
    result.to_csv(out, top)
    if sheet is not None and pictures is not None:
        write_text(sheet, pictures)
    if json:
        print_json(result.to_json(top))
        return 0
    also = "" if sheet is None else f", {sheet}"
    print_lines(f"{result}\nFiles: {out}{also}")
    if result.rows:
        print_lines(f"Next: longtail compare {data_words(data, reading)} --drop {shlex.quote(str(out))}")
    return 0


def _check_file(path: Path, option: str) -> None:
    """Refuse a file that cannot be written, before anything is trained."""
    import os

    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(
            f"{option} must name a file in a folder that can be written, got {str(path)!r}; make the folder"
        )
